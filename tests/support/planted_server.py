"""
A server that errs by a law known to the test, and keeps a record of what it really sent.

``python planted_server.py LAW RECORD``: LAW is JSON of :class:`Law`; RECORD is written on SIGTERM. It prints its port.
It speaks just enough of the protocol to be loaded, over bare sockets, and shares no code with the generator.
"""

import base64
import hashlib
import json
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True)
class Law:
    """
    How it errs. ``x_every=k`` does x with tick n on the i-th connection where n + i is a multiple of k (0: never).

    Ticks are skipped, as due times of an overrun are, for all connections at once.
    """

    tick_rate_hz: int = 50
    lateness_ms: float = 0.0
    drop_every: int = 0
    repeat_every: int = 0
    swap_every: int = 0  # with the next tick
    split_every: int = 0  # into two writes
    fragment_every: int = 0  # into two frames
    space_every: int = 0  # white space in the head
    skip_every: int = 0
    close_every: int = 0  # every so many-th connection ...
    close_after: int = 0  # ... after so many ticks
    refuse_every: int = 0  # so many-th handshake gets a 503
    pad_bytes: int = 300

    def hits(self, every: int, n: int, connection: int) -> bool:
        return every > 0 and (n + connection) % every == 0


class Send(NamedTuple):
    """A tick frame as it was handed to the kernel; times in microseconds of CLOCK_REALTIME."""

    connection: int
    n: int
    due_us: int
    before_us: int
    after_us: int


@dataclass
class Peer:
    sock: socket.socket
    index: int = -1  # among those who play
    received: bytes = b""
    upgraded: bool = False
    playing: bool = False
    ticks: int = 0
    held: tuple[int, int, bytes] | None = None  # n, due, frame: swapped with the next one


@dataclass
class PlantedServer:
    law: Law
    listener: socket.socket
    peers: list[Peer] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)
    handshakes: int = 0
    players: int = 0
    selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)

    def run(self) -> None:
        self.selector.register(self.listener, selectors.EVENT_READ)
        period_us = 1_000_000 // self.law.tick_rate_hz
        started_us = now_us()
        n = 0
        while True:
            due_us = started_us + n * period_us
            self.serve_until(due_us + int(self.law.lateness_ms * 1000))
            if not (self.law.skip_every and n % self.law.skip_every == 0):
                self.tick(n, due_us)
            n += 1

    def serve_until(self, time_us: int) -> None:
        while (wait_us := time_us - now_us()) > 0:
            for key, _ in self.selector.select(wait_us / 1e6):
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.receive(key.data)

    def accept(self) -> None:
        sock, _ = self.listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(sock, selectors.EVENT_READ, Peer(sock))

    def receive(self, peer: Peer) -> None:
        try:
            data = peer.sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.drop(peer)
            return
        peer.received += data
        head, end, rest = peer.received.partition(b"\r\n\r\n")
        if not peer.upgraded and end:
            peer.received = rest
            self.answer(peer, head.decode("latin-1"))
        if peer.upgraded and peer.received and not peer.playing:
            peer.playing = True  # whatever it was, it was a first message
            peer.index = self.players
            self.players += 1
            self.peers.append(peer)

    def answer(self, peer: Peer, head: str) -> None:
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        key = headers.get("Sec-WebSocket-Key")
        if key is None:
            self.refuse(peer, "404 Not Found")
            return
        self.handshakes += 1
        if self.law.refuse_every and self.handshakes % self.law.refuse_every == 0:
            self.refuse(peer, "503 Service Unavailable")
            return
        digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324 - RFC 6455
        accept = base64.b64encode(digest).decode()
        peer.sock.sendall(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        peer.upgraded = True

    def refuse(self, peer: Peer, status: str) -> None:
        peer.sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        self.drop(peer)

    def drop(self, peer: Peer) -> None:
        self.selector.unregister(peer.sock)
        peer.sock.close()
        if peer in self.peers:
            self.peers.remove(peer)

    # Ticks

    def tick(self, n: int, due_us: int) -> None:
        for peer in list(self.peers):
            try:
                self.send_tick(peer, n, due_us)
            except OSError:
                self.drop(peer)
        every = self.law.close_every
        for peer in [peer for peer in self.peers if every and peer.index % every == 0]:
            if peer.ticks >= self.law.close_after:
                peer.sock.sendall(b"\x88\x02\x03\xe9")  # 1001
                self.drop(peer)

    def send_tick(self, peer: Peer, n: int, due_us: int) -> None:
        law, index = self.law, peer.index
        peer.ticks += 1
        held, peer.held = peer.held, None
        frames = self.frames(n, due_us, index)
        if law.hits(law.swap_every, n, index) and peer.ticks > 1:
            peer.held = (n, due_us, b"".join(frames))
        elif not law.hits(law.drop_every, n, index) or peer.ticks == 1:
            self.send(peer, n, due_us, frames)
            if law.hits(law.repeat_every, n, index):
                time.sleep(0.001)
                self.send(peer, n, due_us, frames)
        if held is not None:
            time.sleep(0.001)
            self.send(peer, held[0], held[1], [held[2]])

    def frames(self, n: int, due_us: int, index: int) -> list[bytes]:
        """Return the writes of one tick."""
        law = self.law
        space = " " if law.hits(law.space_every, n, index) else ""
        text = f'[["tick",{space}{n},{due_us},{now_us()}],["pad","{"." * law.pad_bytes}"]]'.encode()
        if law.hits(law.fragment_every, n, index):
            return [frame(text[:40], first=0x01) + frame(text[40:], first=0x80)]
        whole = frame(text)
        return [whole[:50], whole[50:]] if law.hits(law.split_every, n, index) else [whole]

    def send(self, peer: Peer, n: int, due_us: int, writes: list[bytes]) -> None:
        for write in writes[:-1]:
            peer.sock.sendall(write)
            time.sleep(0.001)
        before_us = now_us()
        peer.sock.sendall(writes[-1])
        self.sends.append(Send(peer.index, n, due_us, before_us, now_us()))


def frame(payload: bytes, first: int = 0x81) -> bytes:
    if len(payload) < 126:
        return bytes((first, len(payload))) + payload
    return bytes((first, 126)) + len(payload).to_bytes(2, "big") + payload


def now_us() -> int:
    return time.time_ns() // 1000


def main() -> None:
    law, record = Law(**json.loads(sys.argv[1])), Path(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        server = PlantedServer(law, listener)
        try:
            server.run()
        finally:
            record.write_text(json.dumps(server.sends))


if __name__ == "__main__":
    main()
