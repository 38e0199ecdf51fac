"""
HAProxy and nginx, as Debian has them, in front of a server of a test; and certificates for them.

A proxy is a process of the test's own on a port that the kernel chose: it inherits the listening socket, so that nobody
can take the port in between, and whoever connects before it is up waits. It needs no rights, and may have all.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.support.client import PATIENCE_S
from tests.support.player import Player

HERE = "127.0.0.1"
STOP_LIMIT_S = 5.0
OPENSSL_LIMIT_S = 30.0
MAX_CONNECTIONS = 1500

AUTHORITY = """\
[req]
distinguished_name = name
prompt = no
x509_extensions = extensions
[name]
CN = tickbench tests' authority
[extensions]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
LEAF = """\
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""
"""What Python 3.13 asks for (``VERIFY_X509_STRICT``, RFC 5280)."""

HAPROXY = """\
global
    maxconn {max_connections}
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
frontend outside
    bind fd@{descriptor}{tls}
    default_backend game
backend game
    option forwardfor
    server game {host}:{port}
"""


class Certificate(NamedTuple):
    """A certificate of a server, in files."""

    authority: Path
    """Whoever verifies it has to trust this one."""
    chain: Path
    """It and its key, in one file."""

    def trusting(self) -> ssl.SSLContext:
        """Return the settings of a client that trusts it."""
        return ssl.create_default_context(cafile=str(self.authority))


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that runs."""

    process: subprocess.Popen[bytes]
    port: int
    certificate: Certificate | None
    folder: Path

    @property
    def url(self) -> str:
        """Where it is, for a page."""
        return f"{'https' if self.certificate else 'http'}://{HERE}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where it is, for a WebSocket."""
        return f"{'wss' if self.certificate else 'ws'}://{HERE}:{self.port}"

    @property
    def log(self) -> str:
        """What it wrote to stderr so far."""
        return (self.folder / "stderr").read_text()

    @property
    def authority(self) -> str:
        """What ``Host`` says of it."""
        return f"{HERE}:{self.port}"

    def dial(self) -> Player:
        """Return a connection on which nothing was said yet, but for TLS."""
        sock = socket.create_connection((HERE, self.port), PATIENCE_S)
        if self.certificate:
            sock = self.certificate.trusting().wrap_socket(sock, server_hostname=HERE)
        return Player(sock)


def make_certificate(folder: Path, names: Sequence[str] = (f"IP:{HERE}", "DNS:localhost")) -> Certificate:
    """Make an authority, and a certificate of its for ``names``, in a folder that has neither."""
    for name, text in (("authority.cnf", AUTHORITY), ("leaf.cnf", LEAF.format(names=", ".join(names)))):
        (folder / name).write_text(text)
    new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    _openssl(folder, f"req {new_key} -x509 -config authority.cnf -days 7 -keyout authority.key -out authority.pem")
    _openssl(folder, f"req {new_key} -config authority.cnf -subj /CN=tickbench -keyout key.pem -out leaf.csr")
    signed = "-CA authority.pem -CAkey authority.key -set_serial 1 -days 7 -extfile leaf.cnf"
    _openssl(folder, f"x509 -req -in leaf.csr {signed} -out leaf.pem")
    chain = folder / "chain.pem"
    chain.touch(mode=0o600)
    chain.write_text((folder / "leaf.pem").read_text() + (folder / "key.pem").read_text())
    return Certificate(folder / "authority.pem", chain)


@contextmanager
def haproxy(port: int, certificate: Certificate | None = None, host: str = HERE) -> Iterator[Proxy]:
    """Run HAProxy before a server, with TLS if it is given a certificate."""
    with _listener() as listener, _folder() as folder:
        tls = f" ssl crt {certificate.chain} alpn http/1.1" if certificate else ""
        config = folder / "haproxy.cfg"
        config.write_text(
            HAPROXY.format(max_connections=MAX_CONNECTIONS, descriptor=listener.fileno(), tls=tls, host=host, port=port)
        )
        command = [_tool("haproxy"), "-db", "-f", str(config)]
        with _running(command, folder, listener, certificate) as proxy:
            yield proxy


@contextmanager
def _running(
    command: Sequence[str], folder: Path, listener: socket.socket, certificate: Certificate | None
) -> Iterator[Proxy]:
    """Run a proxy, which must neither end before it is stopped, nor take long then."""
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "NGINX": f"{listener.fileno()};"},  # as nginx tells its next self what to inherit
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            pass_fds=[listener.fileno()],
        )
    proxy = Proxy(process, listener.getsockname()[1], certificate, folder)
    listener.close()  # where the proxy ends, so does the port
    try:
        yield proxy
        assert process.poll() is None, f"{command[0]} ended by itself: {proxy.log}"
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_LIMIT_S)
    except BaseException as error:
        error.add_note(f"{command[0]} said: {proxy.log}")
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def _listener() -> Iterator[socket.socket]:
    with socket.create_server((HERE, 0), backlog=1024) as listener:
        yield listener


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="proxy-") as name:
        yield Path(name)


def _openssl(folder: Path, arguments: str) -> None:
    command = [_tool("openssl"), *arguments.split()]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=OPENSSL_LIMIT_S)


@cache
def _tool(name: str) -> str:
    """Return where a program is; Debian's daemons are not in everybody's PATH."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    assert found, f"{name} is missing: apt-get install {name}"
    return found
