"""
How the bytes of the planted server leave: at once, at their time, or when the peer takes them.

Knows nothing of ticks' laws or of what peers send.
"""

import _socket  # the C type: what Python lays over it costs time at each send
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from tests.support.planted_coat import Coat
from tests.support.planted_record import End, Noise, Recorder
from tests.support.planted_wire import Tick, close_frame, garbage


class Write(NamedTuple):
    """Bytes, or a deed, for a peer; not before ``at_us``, nor within ``gap_us`` of what went to it before."""

    at_us: int
    gap_us: int
    data: bytes = b""
    tick: Tick | None = None  # that these bytes complete
    continues: bool = False  # what went before
    deed: str = ""  # garbage, or an end


class Unsent(NamedTuple):
    """What the kernel did not take."""

    data: memoryview
    tick: Tick | None
    before_ns: int


@dataclass(eq=False, slots=True)
class Room:
    name: str
    number: int
    peers: dict[int, "Peer"] = field(default_factory=dict)  # those who are sent ticks
    ticks: int = 0
    skipped_before: int = 0


@dataclass(eq=False, slots=True)
class Peer:
    sock: _socket.socket
    fd: int
    send: Callable[[bytes], int]
    coat: Coat | None = None  # none: the bytes go as they are
    received: bytearray = field(default_factory=bytearray)
    room: Room | None = None  # asked for
    index: int = -1  # among those who play
    upgraded: bool = False
    deaf: bool = False  # what it sends is read and thrown away
    closing: bool = False  # a close frame was sent to it
    ends_when_sent: bool = False
    over: bool = False
    since: int = 0  # how many ticks there had been when it joined
    held: tuple[Tick, bytes] | None = None  # swapped with the next one
    pings: deque[bytes] = field(default_factory=deque)  # not answered yet
    unsent: deque[Unsent] = field(default_factory=deque)
    writes: deque[Write] = field(default_factory=deque)
    wrote_us: int = 0  # when the last of ``writes`` went


class Outbox:
    """All that is sent to anybody."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.epoll = select.epoll()
        self.peers: dict[int, Peer] = {}
        """By their descriptors."""
        self.timeline: list[tuple[int, int, Peer]] = []
        """When to look after whose writes: a heap."""
        self.last_tick = Tick(0, 0, 0, 0)
        self._order = count()
        self._closing: deque[tuple[float, Peer]] = deque()

    # At their time

    def line_up(self, peer: Peer, write: Write) -> None:
        """Send behind what waits for that peer already."""
        peer.writes.append(write)
        if len(peer.writes) == 1:
            self._pump(peer)

    def release(self) -> None:
        """Send what has become due."""
        timeline = self.timeline
        while timeline and timeline[0][0] <= time.time_ns() // 1000:
            self._pump(heappop(timeline)[2])

    def _pump(self, peer: Peer) -> None:
        """Send what is due of a peer's writes; put the next one on the timeline."""
        writes = peer.writes
        while writes:
            write = writes[0]
            at_us = max(write.at_us, peer.wrote_us + write.gap_us)
            if at_us > time.time_ns() // 1000:
                heappush(self.timeline, (at_us, next(self._order), peer))
                return
            writes.popleft()
            if write.deed:
                self.do(peer, write.deed)
            elif write.tick and peer.unsent and not write.continues:
                self.block(peer, write.tick)
            else:
                self.write(peer, write.data, write.tick)
            peer.wrote_us = time.time_ns() // 1000

    # At once

    def write(self, peer: Peer, data: bytes, tick: Tick | None = None) -> None:
        """Send, or keep what the peer does not take; ``tick`` is recorded when all is taken."""
        if not peer.over:
            self.put(peer, data if peer.coat is None else peer.coat.dress(data), tick)

    def put(self, peer: Peer, data: bytes, tick: Tick | None = None) -> None:
        """Send as :meth:`write` does, as it is."""
        before_ns = time.time_ns()
        if peer.unsent:
            peer.unsent.append(Unsent(memoryview(data), tick, before_ns))
            return
        try:
            sent = peer.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.end(peer, "gone")
            return
        after_ns = time.time_ns()
        if sent < len(data):
            self.keep(peer, data, sent, tick, before_ns)
        elif tick:
            self.record(peer, tick, before_ns, after_ns)

    def keep(self, peer: Peer, data: bytes, sent: int, tick: Tick | None, before_ns: int) -> None:
        """Send the rest when the peer takes it."""
        peer.unsent.append(Unsent(memoryview(data)[sent:], tick, before_ns))
        self.epoll.modify(peer.fd, select.EPOLLIN | select.EPOLLOUT)

    def block(self, peer: Peer, tick: Tick) -> None:
        """Count a tick that is not sent as an earlier one still waits."""
        self.recorder.meta.blocked += 1
        self.recorder.meta.blocked_ticks.append((peer.index, tick.n))

    def flush(self, peer: Peer) -> None:
        """Send what was kept; call it when the peer is writable."""
        while peer.unsent:
            data, tick, before_ns = peer.unsent[0]
            try:
                sent = peer.sock.send(data)
            except BlockingIOError:
                return
            except OSError:
                self.end(peer, "gone")
                return
            if sent < len(data):
                peer.unsent[0] = Unsent(data[sent:], tick, before_ns)
                return
            peer.unsent.popleft()
            if tick:
                self.record(peer, tick, before_ns, time.time_ns())
        self.epoll.modify(peer.fd, select.EPOLLIN)
        if peer.ends_when_sent:
            self.end(peer, "")

    def record(self, peer: Peer, tick: Tick, before_ns: int, after_ns: int) -> None:
        self.recorder.begin(tick)
        self.recorder.rows.extend((peer.index, before_ns, after_ns))

    # Ends

    def do(self, peer: Peer, deed: str) -> None:
        """Send garbage, or end a connection as the law has it: ``close:CODE``, half_close or reset."""
        at_us = time.time_ns() // 1000
        if deed.startswith("close:"):
            self.close(peer, int(deed.removeprefix("close:")))
        elif deed == "half_close":
            self.note_end(peer, None, deed)
            peer.deaf = True
            peer.unsent.clear()
            peer.sock.shutdown(socket.SHUT_WR)
        elif deed == "reset":
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.end(peer, deed)
        else:
            self.write(peer, garbage(deed, self.last_tick))
            self.recorder.meta.garbage.append(Noise(peer.index, deed, at_us))

    def close(self, peer: Peer, code: int) -> None:
        """Say goodbye, and wait a little for the peer's own."""
        self.note_end(peer, code, "close")
        peer.closing = True
        self.write(peer, close_frame(code))
        self._closing.append((time.monotonic() + 2.0, peer))

    def end_closing(self) -> None:
        """End those whose goodbye has not come in time."""
        while self._closing and self._closing[0][0] < time.monotonic():
            self.end(self._closing.popleft()[1], "")

    def end_when_sent(self, peer: Peer) -> None:
        peer.ends_when_sent = True
        if not peer.unsent:
            self.end(peer, "")

    def end(self, peer: Peer, how: str) -> None:
        """Close the socket; ``how`` is noted if no other end was before."""
        if peer.over:
            return
        peer.over = True
        self.note_end(peer, None, how)
        self.note_unfinished(peer)
        self.epoll.unregister(peer.fd)
        del self.peers[peer.fd]
        peer.sock.close()

    def note_end(self, peer: Peer, code: int | None, how: str) -> None:
        """Take a peer out of its room, if it is in."""
        peer.writes.clear()
        if peer.room and peer.room.peers.pop(peer.index, None):
            self.recorder.meta.ends.append(End(peer.index, code, time.time_ns() // 1000, how))

    def note_unfinished(self, peer: Peer) -> None:
        self.recorder.meta.unfinished.extend((peer.index, unsent.tick.n) for unsent in peer.unsent if unsent.tick)
