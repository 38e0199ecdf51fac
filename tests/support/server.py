"""A server as a child process: started on a free port, watched, and never left behind."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from shared.server.frameworks import FRAMEWORKS, module_of
from tests.support.client import PATIENCE_S, Client, Response, Wire, request_bytes, upgrade_headers
from tests.support.player import Player
from tests.support.warm import python

START_LIMIT_S = 20.0
STOP_LIMIT_S = 5.0
"""What the servers promise."""

POLL_S = 0.01

COLD = bool(os.environ.get("TICKBENCH_FULL_SIZE"))
"""Figures are of servers as people start them."""

FAULTY_SERVER = Path(__file__).with_name("faulty_server.py")
ERRING_SERVER = Path(__file__).with_name("erring_server.py")


class Held(NamedTuple):
    """What a server holds of the system."""

    children: int
    threads: int
    fds: int

    def is_within(self, other: "Held") -> bool:
        """Say whether it is no more than that, of anything."""
        return all(mine <= theirs for mine, theirs in zip(self, other, strict=True))


class RunningServer:
    """A server that has said that it is ready. Every connection made through it is closed by :meth:`hang_up`."""

    def __init__(self, backend: str, process: subprocess.Popen[bytes], ready_line: str, log: Path) -> None:
        self.backend = backend
        self.process = process
        self.ready_line = ready_line
        self.url = ready_line.split()[4]
        self.address = ("127.0.0.1", int(self.url.rpartition(":")[2]))
        self._log = log
        self._connections = ExitStack()

    # Connections

    def dial(self, receive_buffer_bytes: int | None = None, source_port: int = 0) -> socket.socket:
        """Return a connection on which nothing was said yet."""
        sock = self._connections.enter_context(socket.socket())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((self.address[0], source_port))
        if receive_buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        sock.settimeout(PATIENCE_S)
        sock.connect(self.address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def connect(self, room: str, receive_buffer_bytes: int | None = None) -> Player:
        """Return a WebSocket in which nothing was said yet."""
        player = Player(self.dial(receive_buffer_bytes))
        assert player.upgrade(f"/connect?room={room}", self._with_host({})).status == 101
        return player

    def enter(self, room: str, name: str = "player") -> Player:
        """Return somebody who is in the room."""
        player = self.connect(room)
        player.enter(name)
        return player

    def keep_alive(self) -> Player:
        """Return a connection for several requests, the last of which may be an upgrade."""
        return Player(self.dial())

    def echo(self) -> Client:
        """Return a WebSocket of ``/echo``."""
        client = Client(self.dial())
        assert client.upgrade("/echo", self._with_host({})).status == 101
        return client

    def upgrade(self, target: str, headers: Mapping[str, str | None] | None = None, method: str = "GET") -> Response:
        """Ask for an upgrade and hang up; return the answer."""
        with Wire(self.dial()) as wire:
            wire.send_raw(request_bytes(method, target, upgrade_headers(self._with_host(headers or {}))))
            return wire.read_response(has_body=method != "HEAD")

    def request(self, target: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Response:
        """Make a plain request and hang up; return the answer."""
        with Wire(self.dial()) as wire:
            wire.send_raw(
                request_bytes(method, target, {"Host": "localhost", "Connection": "close", **(headers or {})})
            )
            return wire.read_response(has_body=method != "HEAD")

    def hang_up(self) -> None:
        """Close every connection."""
        self._connections.close()

    def settle(self) -> None:
        """Close every connection and wait until the server has noticed."""
        self.hang_up()
        wait_until(lambda: self.stats()["connections"] == 0)

    # What it tells

    def stats(self) -> dict[str, Any]:
        """Return ``/stats``."""
        answer = self.request("/stats")
        assert answer.status == 200, answer
        stats: dict[str, Any] = json.loads(answer.body)
        return stats

    def room_stats(self, room: str) -> dict[str, Any] | None:
        """Return what ``/stats`` tells of a room, or None if it is not open."""
        return next((stats for stats in self.stats()["rooms"] if stats["name"] == room), None)

    def children(self) -> list[psutil.Process]:
        """Return its child processes."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def pids(self) -> list[int]:
        """Return its process ID, and those of its child processes."""
        return [self.process.pid, *(child.pid for child in self.children())]

    def held(self) -> Held:
        """Return what it holds."""
        process = psutil.Process(self.process.pid)
        return Held(len(self.children()), process.num_threads(), process.num_fds())

    @property
    def log(self) -> str:
        """What it wrote to stderr so far."""
        return self._log.read_text()

    # Its end

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, limit_s: float = STOP_LIMIT_S) -> int:
        """Return its exit status; subprocess.TimeoutExpired if it runs on."""
        return self.process.wait(limit_s)

    def stop(self) -> None:
        """Hang up, then end it as an operator does, and hold it to its promise."""
        self.hang_up()
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            assert self.wait() == 0, f"exit status {self.process.returncode}\n{self.log}"

    def _with_host(self, headers: Mapping[str, str | None]) -> dict[str, str | None]:
        return {"Host": "{}:{}".format(*self.address), **headers}


@contextmanager
def run_server(
    backend: str,
    *flags: str,
    faulty: bool = False,
    logs: bool = False,
    plant: str = "",
    cold: bool = False,
    stderr: Path | None = None,
) -> Iterator[RunningServer]:
    """
    Run a server for the length of a ``with`` block.

    Its snakes move with every tick, unless ``flags`` have another ``--speed``: what a test waits for comes soon.
    ``plant``: a fault that asyncio's is to have in what it says, see erring_server.py.
    ``faulty``: one whose room ``crash`` raises when a snake is in it, and whose room ``block`` blocks. Unless it
    ``logs``, it must not write a word to stderr. It must stop as promised, unless the test has ended it already.
    ``cold``: of an interpreter of its own, with a hash seed of its own. ``stderr``: what is to take its log.
    """
    flags = with_speed(flags)
    entry = [str(FAULTY_SERVER), backend] if faulty else ["-m", f"backends.{backend}_server"]
    entry = [str(ERRING_SERVER), plant] if plant else entry
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        log = stderr or Path(folder) / "stderr"
        process = start(entry, flags, log, warm=() if cold or COLD else imported(backend, flags))
        stack.callback(_end, process)
        server = RunningServer(backend, process, _ready_line(process, backend, log), log)
        stack.callback(server.hang_up)
        yield server
        server.stop()
        assert logs or not server.log, server.log


def with_speed(flags: Sequence[str]) -> tuple[str, ...]:
    """Return the flags with a snake's speed, that of the ticks if they have none."""
    if "--speed" in flags:
        return tuple(flags)
    rate = flags[flags.index("--tick-rate") + 1] if "--tick-rate" in flags else "20"
    return (*flags, "--speed", rate)


def imported(backend: str, flags: Sequence[str]) -> tuple[str, ...]:
    """Return the modules that a server imports in any case."""
    framework = next(iter(FRAMEWORKS[backend]))
    if "--framework" in flags:
        framework = flags[flags.index("--framework") + 1]
    return f"backends.{backend}_server.__main__", module_of(backend, framework)


def start(entry: Sequence[str], flags: Sequence[str], log: Path, warm: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    """Start a server on a free port, stdout to a pipe, stderr to ``log``; ``warm``: the modules not to import anew."""
    root = Path(__file__).parents[2]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TICKBENCH_")}
    with log.open("wb") as stderr:
        process: subprocess.Popen[bytes] = python(
            [*entry, "--port", "0", *flags],
            modules=warm or None,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    return process


def wait_until(condition: Callable[[], object], limit_s: float = PATIENCE_S) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(POLL_S)


def stands_still(server: RunningServer, room: str) -> bool:
    """Whether the room's next tick does not come: with the naive fan-out, one who reads nothing sees to that."""
    before = server.room_stats(room)
    time.sleep(0.25)
    return before is not None and before["n"] > 0 and before == server.room_stats(room)


def _ready_line(process: subprocess.Popen[bytes], backend: str, log: Path) -> str:
    """Return the ready line, the only one on stdout."""
    assert process.stdout
    stdout, line, deadline = process.stdout.fileno(), b"", time.monotonic() + START_LIMIT_S
    os.set_blocking(stdout, False)
    while not line.endswith(b"\n"):
        assert time.monotonic() < deadline, "no ready line"
        assert process.poll() is None, f"exit status {process.returncode}: {log.read_text()}"
        try:
            line += os.read(stdout, 4096)
        except BlockingIOError:
            time.sleep(POLL_S)
    assert line.decode().split()[:4] == ["tickbench", backend, "listening", "on"], line
    return line.decode().rstrip()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that a failed test may have left, and close its pipe."""
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
