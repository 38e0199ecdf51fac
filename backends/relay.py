"""
A relay of our own, for the processes of one machine or one network: ``python -m backends.relay URL``.

It alone binds: ``unix:PATH``, ``zmq+ipc://PATH`` or ``zmq+tcp://HOST:PORT``; every process connects, publishes and
subscribes. One thread, no event loop, nothing on a disk: what it knew is lost when it ends, and its leases are guarded
by their numbers (:mod:`shared.relay.leases`). There is no password: a path is its user's alone, and whoever reaches a
port may say anything.
"""

import argparse
import fcntl
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from shared.relay.bus import RelayError
from shared.relay.hub import MOST_BODY_BYTES, MOST_UNSENT_BYTES, BodyReader, Hub, framed
from shared.relay.leases import LeaseTable
from shared.relay.url import RelayUrl, parse_relay_url
from shared.system.packages import needed_by

READ_BYTES = 262_144
MOST_ZMQ_MESSAGES = 1_000
"""What ZeroMQ holds for a process that does not read: it counts messages, not bytes."""
TURN = 100
"""Messages of ZeroMQ that are taken before the relay looks whether it is to end."""


class RelayTakenError(Exception):
    """Another relay is there."""


def now_ms() -> int:
    """Return the monotonic clock."""
    return time.monotonic_ns() // 1_000_000


def wall_ms() -> int:
    """Return the wall clock."""
    return time.time_ns() // 1_000_000


class Peer:
    """One process at the other end of a Unix socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.reader = BodyReader()
        self.unsent = bytearray()
        self.waits = False


class UnixRelay:
    """The hub behind a Unix socket. Who does not read is dropped when :data:`MOST_UNSENT_BYTES` wait for it."""

    def __init__(self, path: str, stack: ExitStack) -> None:
        keep_path(path, stack)
        self._listener = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
        old_mask = os.umask(0o177)
        try:
            self._listener.bind(path)
        finally:
            os.umask(old_mask)
        self._listener.listen(128)
        self._listener.setblocking(False)  # noqa: FBT003 # as the library names it
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._peers: set[Peer] = set()
        stack.callback(self._drop_all)
        self._hub: Hub[Peer] = Hub(LeaseTable(now_ms()), self._send)
        self.where = f"unix:{path}"

    def serve(self) -> None:
        """Serve for ever."""
        while True:
            for key, events in self._selector.select():
                if key.data is None:
                    self._accept()
                elif key.data in self._peers:  # not dropped by what came before it
                    if events & selectors.EVENT_WRITE:
                        self._write(key.data)
                    if events & selectors.EVENT_READ and key.data in self._peers:
                        self._read(key.data)

    # Private methods

    def _accept(self) -> None:
        with suppress(OSError):  # it has gone already, or there is no descriptor left for it
            sock, _ = self._listener.accept()
            sock.setblocking(False)  # noqa: FBT003 # as the library names it
            peer = Peer(sock)
            self._peers.add(peer)
            self._selector.register(sock, selectors.EVENT_READ, peer)

    def _read(self, peer: Peer) -> None:
        try:
            data = peer.socket.recv(READ_BYTES)
            if not data:
                self._drop(peer)
                return
            for body in peer.reader.feed(data):
                self._hub.came(peer, body, now_ms(), wall_ms())
                if peer not in self._peers:
                    return
        except BlockingIOError:
            return
        except (OSError, RelayError, msgspec.DecodeError):
            self._drop(peer)

    def _send(self, peer: Peer, body: bytes) -> None:
        if peer not in self._peers:
            return
        if len(peer.unsent) + len(body) > MOST_UNSENT_BYTES:
            self._drop(peer)
            return
        peer.unsent += framed(body)
        if not peer.waits:
            self._write(peer)

    def _write(self, peer: Peer) -> None:
        try:
            with suppress(BlockingIOError):
                del peer.unsent[: peer.socket.send(peer.unsent)]
        except OSError:
            self._drop(peer)
            return
        if peer.waits != bool(peer.unsent):
            peer.waits = bool(peer.unsent)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.waits else 0)
            self._selector.modify(peer.socket, events, peer)

    def _drop(self, peer: Peer) -> None:
        if peer in self._peers:
            self._peers.remove(peer)
            self._hub.left(peer)
            self._selector.unregister(peer.socket)
            peer.socket.close()

    def _drop_all(self) -> None:
        for peer in list(self._peers):
            self._drop(peer)


class ZmqRelay:
    """
    The hub behind a ROUTER socket of ZeroMQ, to which each process connects a DEALER.

    Not XSUB and XPUB: those say nothing to who subscribes, drop silently, and hold no lease. Who does not read is
    dropped when :data:`MOST_ZMQ_MESSAGES` wait for it.
    """

    def __init__(self, endpoint: str, stack: ExitStack) -> None:
        with needed_by("a relay of ZeroMQ", "relay"):
            import zmq  # noqa: PLC0415 # a relay behind a Unix socket needs none
        self._zmq: Any = zmq
        if endpoint.startswith("ipc://"):
            keep_path(endpoint.removeprefix("ipc://"), stack)
        context = zmq.Context()
        stack.callback(context.destroy, linger=0)
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # sending says whether it does not read, or is gone
        self._socket.setsockopt(zmq.SNDHWM, MOST_ZMQ_MESSAGES)
        self._socket.setsockopt(zmq.RCVHWM, MOST_ZMQ_MESSAGES)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MOST_BODY_BYTES)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, 1_000)  # a machine that is gone says no goodbye
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3_000)
        old_mask = os.umask(0o177)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise OSError(error.errno, error.strerror) from None
        finally:
            os.umask(old_mask)
        self._hub: Hub[bytes] = Hub(LeaseTable(now_ms()), self._send)
        self.where = f"zmq+{self._socket.getsockopt_string(zmq.LAST_ENDPOINT)}"

    def serve(self) -> None:
        """Serve for ever."""
        while True:
            self._socket.poll()
            with suppress(self._zmq.Again):
                for _ in range(TURN):
                    process, *rest = self._socket.recv_multipart(self._zmq.NOBLOCK)
                    try:
                        self._hub.came(process, b"".join(rest), now_ms(), wall_ms())
                    except msgspec.DecodeError:
                        self._hub.left(process)

    # Private methods

    def _send(self, process: bytes, body: bytes) -> None:
        try:
            self._socket.send_multipart([process, body], self._zmq.NOBLOCK)
        except self._zmq.ZMQError:  # EAGAIN: it does not read; EHOSTUNREACH: it is gone
            self._hub.left(process)


def keep_path(path: str, stack: ExitStack) -> None:
    """
    Take a path for our own while we live, and away what a relay that was killed left there.

    A lock beside it says who lives: it goes with its process, however that ends.
    """
    lock = stack.enter_context(Path(f"{path}.lock").open("a", encoding="utf-8"))  # noqa: SIM115 # the stack closes it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RelayTakenError(f"another relay is at {path}") from None
    Path(path).unlink(missing_ok=True)
    stack.callback(Path(path).unlink, missing_ok=True)


RELAYS: dict[str, Callable[[str, ExitStack], UnixRelay | ZmqRelay]] = {"unix": UnixRelay, "zmq": ZmqRelay}
"""What there is to start, by the kind of the URL."""


def relay_url(text: str) -> RelayUrl:
    """Return the URL of a relay that is ours to start."""
    try:
        url = parse_relay_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if url.kind not in RELAYS:
        raise argparse.ArgumentTypeError(f"{url.kind} is not ours to start; one of unix:PATH, zmq+ipc://, zmq+tcp://")
    return url


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m backends.relay", description="Carries what processes publish.")
    parser.add_argument("url", type=relay_url, help="unix:PATH, zmq+ipc://PATH or zmq+tcp://HOST:PORT")
    url = parser.parse_args().url
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with ExitStack() as stack:
        try:
            relay = RELAYS[url.kind](url.where, stack)
        except (OSError, RelayTakenError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            print(f"error: can't listen at {url.shown}: {why}", file=sys.stderr)  # noqa: T201 # whoever started it reads it
            return 2
        print(f"tickbench relay listening at {relay.where}", flush=True)  # noqa: T201 # as it is ready
        relay.serve()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
