"""What comes in at the planted server: connections, handshakes, messages. Knows nothing of ticks."""

import _socket
import select
import socket
import ssl
import time
from contextlib import suppress
from typing import Any

from tests.support import planted_page
from tests.support.planted_coat import EXTENSIONS, Coat, Compressor, server_context
from tests.support.planted_law import Law
from tests.support.planted_peers import Outbox, Peer, Room
from tests.support.planted_wire import (
    BAD_HANDSHAKES,
    BINARY,
    CLOSE,
    LEFT_OPEN,
    PING,
    PONG,
    TEXT,
    answer,
    client_frames,
    frame,
    parse_request,
    switch,
)

ACCEPTS_A_TURN = 64


class Door:
    """Takes peers in and reads what they send; those who play are in ``rooms``."""

    def __init__(self, law: Law, listener: socket.socket, outbox: Outbox) -> None:
        self.law = law
        self.outbox = outbox
        self.meta = outbox.recorder.meta
        self.rooms: dict[str, Room] = {}
        self.doomed: dict[int, Peer] = {}
        """Those who get garbage or an end after some ticks."""
        self.stats_given = 0
        self.next_n = 0
        self.offset_us = (time.time_ns() - time.monotonic_ns()) // 1000 + law.clock_shift_us
        listener.setblocking(False)  # noqa: FBT003 - socket's own
        self.fd = listener.fileno()
        self._listener = listener
        self.compressor = Compressor()
        self._context = server_context(law.tls) if law.tls else None
        outbox.epoll.register(self.fd, select.EPOLLIN)

    def all_get_the_same(self, room: Room) -> bool:
        """Return whether all in a room get the same compressed bytes."""
        if self._context is not None or self.law.deflate == "own":
            return False
        return all(peer.coat is not None and peer.coat.deflates for peer in room.peers.values())

    def turn(self, events: list[tuple[int, int]]) -> None:
        """See to what epoll found."""
        peers, outbox = self.outbox.peers, self.outbox
        for fd, event in events:
            peer = peers.get(fd)
            if peer is not None:
                if event & select.EPOLLOUT:
                    outbox.flush(peer)
                if event & ~select.EPOLLOUT and not peer.over:
                    self.receive(peer)
            elif fd == self.fd:
                self.accept()

    def accept(self) -> None:
        for _ in range(ACCEPTS_A_TURN):
            try:
                fd, _ = self._listener._accept()  # type: ignore[attr-defined]
            except OSError:  # no more, or one that has gone already
                return
            sock = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0, fd)
            sock.setblocking(False)  # noqa: FBT003 - as above
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            peer = self.outbox.peers[fd] = Peer(sock, fd, sock.send)
            if self.law.deflate or self._context is not None:
                peer.coat = Coat(self.law.deflate, self.compressor, self._context)
            self.outbox.epoll.register(fd, select.EPOLLIN)

    def receive(self, peer: Peer) -> None:
        try:
            data = peer.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.outbox.end(peer, "gone")
            return
        peer.received += data if peer.coat is None else self.undressed(peer, peer.coat, data)
        if peer.deaf or peer.over:
            return
        if not peer.upgraded:
            head, end, rest = peer.received.partition(b"\r\n\r\n")
            if not end:
                return
            peer.received = rest
            self.answer(peer, bytes(head))
        if peer.upgraded and not peer.deaf:
            for opcode, payload in client_frames(peer.received):
                self.take(peer, opcode, payload)
                if peer.over or peer.deaf:
                    break

    def undressed(self, peer: Peer, coat: Coat, data: bytes) -> bytes:
        """Return what a peer said, and see to its TLS."""
        try:
            said, reply = coat.undress(data)
        except ssl.SSLError:
            self.outbox.end(peer, "gone")
            return b""
        if reply:
            self.outbox.put(peer, reply)
        return said

    # Handshakes

    def answer(self, peer: Peer, head: bytes) -> None:
        law, request = self.law, parse_request(head)
        if law.login and request.login != law.login:
            self.refuse(peer, answer("401 Unauthorized"))
            return
        if request.key is None:
            if law.stats and request.path == f"{law.prefix}/stats":
                self.stats_given += 1
                known = not law.stats_times or self.stats_given <= law.stats_times
                self.refuse(peer, answer("200 OK", self.stats(), "application/json") if known else b"")
            else:
                self.refuse(peer, answer("404 Not Found"))
            return
        self.meta.handshakes += 1
        number = self.meta.handshakes
        bad = law.bad_handshake_for(number)
        if law.refuse_every and number % law.refuse_every == 0:
            self.meta.refused += 1
            self.refuse(peer, answer("503 Service Unavailable"))
        elif law.silent_every and number % law.silent_every == 0:
            self.meta.silent += 1
            peer.deaf = True
        elif bad is not None:
            self.meta.bad_handshakes[bad] = self.meta.bad_handshakes.get(bad, 0) + 1
            self.refuse(peer, BAD_HANDSHAKES[bad], ends=bad not in LEFT_OPEN)
        else:
            deflates = peer.coat is not None and law.deflate and "permessage-deflate" in request.offers
            self.outbox.write(peer, switch(request.key, EXTENSIONS[law.deflate] if deflates else ""))
            if peer.coat is not None:
                peer.coat.deflates = bool(deflates)
            peer.upgraded = True
            if law.mute_every and number % law.mute_every == 0:
                self.meta.mute += 1
                peer.deaf = True
            if request.room not in self.rooms:
                self.rooms[request.room] = Room(request.room, len(self.rooms), skipped_before=self.meta.all_skipped)
                self.meta.rooms.append(request.room)
            peer.room = self.rooms[request.room]

    def refuse(self, peer: Peer, data: bytes, *, ends: bool = True) -> None:
        peer.deaf = True
        if data:
            self.outbox.write(peer, data)
        if ends:
            self.outbox.end_when_sent(peer)

    def stats(self) -> bytes:
        skipped = self.meta.all_skipped
        rooms: list[dict[str, Any]] = [
            {"name": room.name, "n": self.next_n, "skipped_ticks": skipped - room.skipped_before}
            for room in self.rooms.values()
        ]
        upgraded = sum(peer.upgraded for peer in self.outbox.peers.values())
        return planted_page.stats(self.law, self.meta, upgraded, rooms, self.offset_us)

    # Messages

    def take(self, peer: Peer, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            self.take_close(peer, payload)
        elif opcode == PING:
            self.outbox.write(peer, frame(payload, 0x80 | PONG))
        elif opcode == PONG:
            self.take_pong(peer, payload)
        elif opcode <= BINARY:
            self.meta.texts += opcode == TEXT
            if peer.index < 0:  # whatever it was, it was a first message
                self.join(peer, payload)
            elif self.law.pongs and (text := planted_page.pong(payload, self.now_us())):
                self.outbox.write(peer, frame(text))

    def now_us(self) -> int:
        return time.time_ns() // 1000 + self.law.clock_shift_us

    def join(self, peer: Peer, message: bytes) -> None:
        assert peer.room is not None
        peer.index = self.meta.players
        peer.since = self.meta.ticks
        self.meta.players += 1
        self.meta.joined_us.append(time.time_ns() // 1000)
        peer.room.peers[peer.index] = peer
        if self.law.garbage_for(peer.index) or self.law.end_for(peer.index):
            self.doomed[peer.index] = peer
        if self.law.welcome:
            self.outbox.write(peer, frame(planted_page.welcome(message, peer.index)))

    def take_close(self, peer: Peer, payload: bytes) -> None:
        if not peer.closing:
            self.outbox.note_end(peer, int.from_bytes(payload[:2], "big") or None, "left")
            self.outbox.write(peer, frame(payload[:2], 0x80 | CLOSE))
        if not peer.over:
            self.outbox.end_when_sent(peer)

    def take_pong(self, peer: Peer, payload: bytes) -> None:
        """Count a pong; one may answer several pings (RFC 6455, section 5.5.3)."""
        if payload not in peer.pings:
            self.meta.bad_pongs += 1
            return
        self.meta.pongs += 1
        with suppress(IndexError):
            while peer.pings.popleft() != payload:
                pass
