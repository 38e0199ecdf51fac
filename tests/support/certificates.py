"""Certificates of the tests' own, made by ``openssl``: an authority, and servers that it knows or does not know."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = """
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""
LIMIT_S = 30


@dataclass(frozen=True)
class Certificate:
    """Files in PEM: a certificate, its key, and both in one, as HAProxy reads them."""

    chain: Path
    key: Path
    both: Path
    authority: Path
    """Whoever verifies it has to trust this one."""

    def trusting(self) -> ssl.SSLContext:
        """Return the settings of a client that trusts it, as strict as Python 3.13 is by default."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context


class Authority:
    """An authority with its files in ``folder``; to trust it is to have :attr:`variables` in the environment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = self._make("authority", "an authority of the tests", "authority")

    @property
    def file(self) -> Path:
        return self._own.chain

    @property
    def variables(self) -> dict[str, str]:
        return {"SSL_CERT_FILE": str(self.file)}

    def certify(self, name: str, *names: str, days: int = 2) -> Certificate:
        """Return a certificate for ``names``, each as openssl writes it (``DNS:localhost``, ``IP:127.0.0.1``)."""
        signed = ["-CA", str(self._own.chain), "-CAkey", str(self._own.key)]
        return self._make(name, name, "server", *signed, names=names, days=days)

    def _make(
        self, name: str, title: str, kind: str, *more: str, names: tuple[str, ...] = (), days: int = 2
    ) -> Certificate:
        chain, key, both = (self._folder / f"{name}.{end}" for end in ("crt", "key", "pem"))
        of = Certificate(chain, key, both, self._folder / "authority.crt")
        configuration = self._folder / f"{name}.cnf"
        configuration.write_text(CONFIGURATION.format(name=title, names=",".join(names or ("DNS:none.invalid",))))
        what = ["-config", str(configuration), "-extensions", kind, "-days", str(days)]
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(of.key)]
        command = ["openssl", "req", "-x509", *what, *new_key, "-out", str(of.chain), *more]
        subprocess.run(command, check=True, capture_output=True, timeout=LIMIT_S)
        of.both.write_bytes(of.chain.read_bytes() + of.key.read_bytes())
        return of


def make_certificate(folder: Path, *names: str) -> Certificate:
    """Make an authority in a folder, and a certificate of its for ``names``; for this machine if there are none."""
    return Authority(folder).certify("server", *(names or ("IP:127.0.0.1", "DNS:localhost")))
