"""Relays and the processes that use them, for tests: started, told what to do, killed, and ended in any case."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 20.0

OF_PROCESSES = ("redis", "zmq+ipc", "zmq+tcp", "unix")
"""Relays that are processes of their own, by the scheme of their URLs."""
EVERY = ("memory", *OF_PROCESSES)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


class Relay:
    """A relay: ``url`` is where it is, also when it is started again."""

    def __init__(self, scheme: str, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        path, port = folder / "bus", free_port() if scheme in {"redis", "zmq+tcp"} else 0
        self.url = {
            "memory": f"memory://{folder}",
            "redis": f"redis://127.0.0.1:{port}",
            "zmq+ipc": f"zmq+ipc://{path}",
            "zmq+tcp": f"zmq+tcp://127.0.0.1:{port}",
            "unix": f"unix:{path}",
        }[scheme]
        redis = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self._command = redis if scheme == "redis" else [sys.executable, "-m", "backends.relay", self.url]
        self._ready = b"Ready to accept connections" if scheme == "redis" else b"tickbench relay listening at"
        self._has_process = scheme in OF_PROCESSES

    def start(self) -> None:
        if not self._has_process:
            return
        log = self._folder / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=output, stderr=output)
        end_s = time.monotonic() + PATIENCE_S
        while self._ready not in log.read_bytes():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < end_s, log.read_text()
            time.sleep(0.005)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None


class Peer:
    """A process that has buses; see relay_peer.py for what it can be told."""

    def __init__(self, backend: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, str(Path(__file__).with_name("relay_peer.py")), backend, str(theirs.fileno())]
            self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()])
        ours.settimeout(PATIENCE_S)
        self._socket = ours
        self._lines = ours.makefile("rb")
        self._names = 0

    def tell(self, verb: str, *arguments: Any) -> Any:
        """Have it do something; return its answer."""
        self.begin(verb, *arguments)
        return self.answer()

    def begin(self, verb: str, *arguments: Any) -> None:
        self._socket.sendall(json.dumps([verb, *arguments]).encode() + b"\n")

    def answer(self) -> Any:
        line = self._lines.readline()
        assert line, f"it has ended: {self._process.wait(PATIENCE_S)}"
        return json.loads(line)

    def bus(self, url: str) -> "PeerBus":
        self._names += 1
        return PeerBus(self, str(self._names), url)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._lines.close()
        self._socket.close()
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def end(self) -> None:
        """End it; its status is that of a process that nothing went wrong in."""
        self._lines.close()
        self._socket.close()
        try:
            status = self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self._process.wait()
        assert status == 0


class PeerBus:
    """A bus of another process."""

    def __init__(self, peer: Peer, name: str, url: str) -> None:
        self.peer = peer
        self.name = name
        peer.tell("open", name, url)

    def publish(self, channel: str, *texts: str, size: int = 0) -> list[bool]:
        taken: list[bool] = self.peer.tell("publish", self.name, channel, texts, size)
        return taken

    def subscribe(self, channel: str) -> "PeerSubscription":
        self.peer._names += 1
        subscription = PeerSubscription(self, str(self.peer._names))
        answer = self.peer.tell("subscribe", self.name, channel, subscription.name)
        assert answer is None, answer
        return subscription

    def ask(self, verb: str, *arguments: Any) -> Any:
        return self.peer.tell(verb, self.name, *arguments)

    def groups(self) -> "PeerGroups":
        self.peer._names += 1
        groups = PeerGroups(self.peer, str(self.peer._names))
        self.peer.tell("group", groups.name, self.name)
        return groups

    def lease(self, room: str, owner: str, ttl_s: float) -> "PeerLease":
        self.peer._names += 1
        lease = PeerLease(self.peer, str(self.peer._names))
        self.peer.tell("lease", lease.name, self.name, room, owner, ttl_s)
        return lease

    @property
    def is_up(self) -> bool:
        return bool(self.peer.tell("is_up", self.name))

    def close(self) -> None:
        self.peer.tell("close", self.name)


class PeerSubscription:
    """A subscription of another process."""

    def __init__(self, bus: PeerBus, name: str) -> None:
        self.bus = bus
        self.name = name

    def next(self, timeout_s: float = 10.0) -> Any:
        """Return ``[kind, ...]`` of the next event, or None."""
        return self.bus.peer.tell("next", self.name, timeout_s)

    def texts(self, number: int) -> list[str]:
        """Return the texts of the next messages; nothing else may come between them."""
        events = [self.next() for _ in range(number)]
        assert all(event and event[0] == "message" for event in events), events
        return [event[1] for event in events]

    def close(self) -> None:
        self.bus.peer.tell("unsubscribe", self.bus.name, self.name)


class PeerLease:
    """A lease that another process keeps, or tries to get."""

    def __init__(self, peer: Peer, name: str) -> None:
        self.peer = peer
        self.name = name

    @property
    def number(self) -> int:
        """Its number by that process's own clock, 0 while it is not its own."""
        return int(self.peer.tell("number", self.name))

    def wait(self, number: int = 0) -> int:
        """Return its number as soon as it is another one than this."""
        other = int(self.peer.tell("change", self.name, number, 10))
        assert other != number
        return other

    def close(self) -> None:
        self.peer.tell("end_lease", self.name)


class PeerGroups:
    """Groups with members in another process."""

    def __init__(self, peer: Peer, name: str) -> None:
        self.peer = peer
        self.name = name

    def add(self, group: str, member: str) -> None:
        assert self.peer.tell("add", self.name, group, member) is None

    def discard(self, group: str, member: str) -> None:
        assert self.peer.tell("discard", self.name, group, member) is None

    def send(self, group: str, text: str) -> None:
        assert self.peer.tell("send", self.name, group, text)

    def deliveries(self, number: int) -> list[tuple[str, str]]:
        """Return member and text of so many deliveries, in order; all of this process, whatever its buses."""
        found: list[tuple[str, str]] = []
        end_s = time.monotonic() + PATIENCE_S
        while len(found) < number:
            assert time.monotonic() < end_s, found
            found += [(member, event[1]) for member, event in self.peer.tell("deliveries")]
        return found

    def close(self) -> None:
        self.peer.tell("end_groups", self.name)
