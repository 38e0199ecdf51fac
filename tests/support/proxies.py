"""
HAProxy and nginx, as Debian has them, in front of a server of a test; and certificates for them.

A proxy is a process of the test's own on a port that the kernel chose: it inherits the listening socket, so that nobody
can take the port in between, and whoever connects before it is up waits. It needs no rights, and may have all.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from tests.support.certificates import Certificate
from tests.support.client import PATIENCE_S
from tests.support.player import Player

HERE = "127.0.0.1"
STOP_LIMIT_S = 5.0
MAX_CONNECTIONS = 1500

DOCUMENTED = Path(__file__).parents[2] / "docs" / "servers.md"
"""Has the settings of both, which are used here as they stand there, but for addresses, certificates and times."""

NGINX = """\
daemon off;
{user}
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections {max_connections}; }}
http {{
access_log off;
client_body_temp_path body;
proxy_temp_path proxy;
fastcgi_temp_path fastcgi;
uwsgi_temp_path uwsgi;
scgi_temp_path scgi;
{documented}
}}
"""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that runs. Every connection made through it is closed when it ends."""

    process: subprocess.Popen[bytes]
    port: int
    certificate: Certificate | None
    path: str
    folder: Path
    connections: ExitStack

    @property
    def origin(self) -> str:
        """Where a page comes from that it serves."""
        return f"{'https' if self.certificate else 'http'}://{self.authority}"

    @property
    def url(self) -> str:
        """Where it is, for a page."""
        return f"{self.origin}{self.path}"

    @property
    def ws_url(self) -> str:
        """Where it is, for a WebSocket."""
        return f"ws{self.url.removeprefix('http')}"

    @property
    def log(self) -> str:
        """What it wrote to stderr so far."""
        return (self.folder / "stderr").read_text()

    @property
    def authority(self) -> str:
        """What ``Host`` says of it."""
        return f"{HERE}:{self.port}"

    def dial(self, source: str = HERE) -> Player:
        """Return a connection from an address of this machine, on which nothing was said yet, but for TLS."""
        sock = socket.create_connection((HERE, self.port), PATIENCE_S, (source, 0))
        if self.certificate:
            sock = self.certificate.trusting().wrap_socket(sock, server_hostname=HERE)
        return self.connections.enter_context(Player(sock))


@contextmanager
def haproxy(
    port: int, certificate: Certificate | None = None, *, path: str = "", idle_s: float = 60
) -> Iterator[Proxy]:
    """
    Run HAProxy before a server: with TLS if it is given a certificate, under ``path`` (``/game``) if that is given.

    ``idle_s`` is for how long a connection may say nothing.
    """
    tls = f" ssl crt {certificate.both}" if certificate else ""
    changes = {
        "bind :443 ssl crt /etc/haproxy/game.pem": f"bind fd@{{descriptor}}{tls}",
        "127.0.0.1:8000": f"{HERE}:{port}",
        "60s": f"{round(idle_s * 1000)}ms",
        "/game": path,
    }
    documented = _documented("haproxy")
    if not path:
        documented = re.sub(r".*# under a path\n", "", documented)
        del changes["/game"]
    with _listener() as listener, _folder() as folder:
        settings = f"global\n    maxconn {MAX_CONNECTIONS}\n{_changed(documented, changes)}"
        (folder / "haproxy.cfg").write_text(settings.replace("{descriptor}", str(listener.fileno())))
        with _running(["haproxy", "-db", "-f", "haproxy.cfg"], folder, listener, certificate, path) as proxy:
            yield proxy


@contextmanager
def nginx(
    port: int, certificate: Certificate | None = None, *, path: str = "", idle_s: float = 60, without: str = ""
) -> Iterator[Proxy]:
    """Run nginx before a server, as :func:`haproxy` runs; ``without`` one of the documented settings."""
    with _listener() as listener, _folder() as folder:
        changes = {
            "listen 443 ssl": f"listen {HERE}:{listener.getsockname()[1]}{' ssl' if certificate else ''}",
            "127.0.0.1:8000": f"{HERE}:{port}",
            "60s": f"{round(idle_s * 1000)}ms",
            "/game/": f"{path}/",
            "/etc/nginx/game.pem": str(certificate.both) if certificate else "",
        }
        documented = _documented("nginx").replace("proxy_pass http://game/", "proxy_pass http://{game}")
        assert without in documented
        documented = documented.replace(without, "")
        if not certificate:
            documented = re.sub(r".*ssl_certificate(_key)?.*\n", "", documented)
            del changes["/etc/nginx/game.pem"]
        settings = _changed(documented, changes).replace("{game}", "game/")
        user = f"user {pwd.getpwuid(os.geteuid()).pw_name};" if os.geteuid() == 0 else ""
        config = NGINX.format(user=user, max_connections=MAX_CONNECTIONS, documented=settings)
        (folder / "nginx.conf").write_text(config)
        command = ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
        with _running(command, folder, listener, certificate, path) as proxy:
            yield proxy


PROXIES = {"haproxy": haproxy, "nginx": nginx}


def _documented(language: str) -> str:
    """Return the settings of a proxy that the documentation has."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", DOCUMENTED.read_text(), re.MULTILINE | re.DOTALL)
    assert isinstance(text, str)
    return text


def _changed(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"the documentation has no {old}"
        text = text.replace(old, new)
    return text


@contextmanager
def _running(
    command: Sequence[str], folder: Path, listener: socket.socket, certificate: Certificate | None, path: str
) -> Iterator[Proxy]:
    """Run a proxy, which must neither end before it is stopped, nor take long then."""
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [_tool(command[0]), *command[1:]],
            cwd=folder,
            env={**os.environ, "NGINX": f"{listener.fileno()};"},  # as nginx tells its next self what to inherit
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            pass_fds=[listener.fileno()],
        )
    port = listener.getsockname()[1]
    listener.close()  # where the proxy ends, so does the port
    proxy = Proxy(process, port, certificate, path, folder, ExitStack())
    try:
        with proxy.connections:
            yield proxy
        assert process.poll() is None, f"{command[0]} ended by itself: {proxy.log}"
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_LIMIT_S)
    except BaseException as error:
        error.add_note(f"{command[0]} said: {proxy.log}")
        raise
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a proxy of a test that failed, with its workers: those of a master that is killed would stay."""
    master = psutil.Process(process.pid)
    for each in (*master.children(recursive=True), master):
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()


@contextmanager
def _listener() -> Iterator[socket.socket]:
    with socket.create_server((HERE, 0), backlog=1024) as listener:
        yield listener


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="proxy-") as name:
        yield Path(name)


@cache
def _tool(name: str) -> str:
    """Return where a program is; Debian's daemons are not in everybody's PATH."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    assert found, f"{name} is missing: apt-get install {name}"
    return found
