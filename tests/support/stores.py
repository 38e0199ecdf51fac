"""Redis and memcached, as Debian has them, for the length of a test: on a free port, with the test's data alone."""

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.server import wait_until

HERE = "127.0.0.1"
STOP_LIMIT_S = 5.0
ASKED = {"redis": (b"PING\r\n", (b"+PONG", b"-NOAUTH")), "memcached": (b"version\r\n", (b"VERSION",))}
"""What each is asked, and how the answer begins."""


class RunningStore:
    """A Redis or memcached, which can be ended and started anew at the same address."""

    def __init__(self, kind: str, folder: Path, login: str = "") -> None:
        self.kind = kind
        self.port = free_port()
        self._folder = folder
        self._login = login
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        user = f":{self._login}@" if self._login else ""
        return f"{self.kind}://{user}{HERE}:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / f"{self.kind}.log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), cwd=self._folder, stdout=log, stderr=log)
        wait_until(lambda: answers(self.kind, self.port))

    def kill(self) -> None:
        """End it as a failing machine does."""
        if self._process:
            self._process.kill()
            self._process.wait(STOP_LIMIT_S)
            self._process = None

    def signal(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    def _command(self) -> Sequence[str]:
        if self.kind == "memcached":
            return ["memcached", "-l", HERE, "-p", str(self.port), "-U", "0", "-m", "16", "-u", "root"]
        options = {
            "bind": HERE,
            "port": self.port,
            "dir": self._folder,
            "save": "",
            "appendonly": "yes",  # with appendfsync everysec, what is answered is written
            **({"requirepass": self._login} if self._login else {}),
        }
        return ["redis-server", *(word for name, value in options.items() for word in (f"--{name}", str(value)))]


@contextmanager
def run_store(kind: str, folder: Path, *, login: str = "", started: bool = True) -> Iterator[RunningStore]:
    """Run a store for the length of a ``with`` block; unless ``started``, when the block asks for it."""
    store = RunningStore(kind, folder, login)
    try:
        if started:
            store.start()
        yield store
    finally:
        store.kill()


def free_port() -> int:
    """Return a port that nobody listens at; neither of the two takes a socket that is open already."""
    with socket.socket() as sock:
        sock.bind((HERE, 0))
        port: int = sock.getsockname()[1]
    return port


def answers(kind: str, port: int) -> bool:
    """Whether it takes commands: Redis reads its file first, and says so."""
    command, right = ASKED[kind]
    with suppress(OSError), socket.create_connection((HERE, port), 1) as sock:
        sock.sendall(command)
        return sock.recv(100).startswith(right)
    return False
