"""
Many clients in one thread: sockets that never block, so that a thousand can come, stay, stall and go at once.

A test says by a subclass of :class:`Visitor` what one of them makes of what comes. Knows of the game that it is told
ticks, and their numbers. Every wait of a :class:`Swarm` has a bound.
"""

import errno
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Self

from tests.support.client import (
    PATIENCE_S,
    PING,
    PONG,
    TEXT,
    Frame,
    Response,
    client_frame,
    parse_head,
    pop_frame,
    request_bytes,
    upgrade_headers,
)

TICK = b'[["tick",'


class Ending(Enum):
    """How a connection came to its end."""

    EOF = auto()
    RESET = auto()
    LEFT = auto()  # by us


class Visitor:
    """
    One client: it asks for an upgrade as soon as it is connected and, once it is let in, says ``greeting``.

    ``early``: it says so right behind the request, before it knows that it is let in. Keeps the numbers of the ticks
    that it was told, and answers pings.
    """

    receive_buffer_bytes = 0  # of the socket; 0 leaves it as it is

    def __init__(self, room: str = "main", name: str = "visitor", *, early: bool = False) -> None:
        self.request = request_bytes("GET", f"/connect?room={room}", upgrade_headers({}))
        self.greeting = client_frame(TEXT, f'["new_player","{name}"]'.encode())
        self.early = early
        self.sock: socket.socket
        self.is_connected = False
        self.answer: Response | None = None  # to its request
        self.ending: Ending | None = None
        self.ticks: list[int] = []
        self.waited_s: float | None = None  # from its dialling to its first tick, or to a refusal
        self._dialled_s = 0.0
        self._selector: selectors.BaseSelector
        self._unsent = bytearray()
        self._buffer = bytearray()
        self._wants = 0  # what the selector is asked for
        self._reads = True
        self._is_reset = False

    # What it does

    def send(self, data: bytes) -> None:
        """Send as soon as the kernel takes it; what its end cuts off is lost."""
        self._unsent += data
        if self.is_connected and self.ending is None:
            self._flush()

    def stall(self) -> None:
        """Read nothing until told to :meth:`read_on`."""
        self._reads = False
        self._watch()

    def read_on(self) -> None:
        """Read again."""
        self._reads = True
        self._watch()

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection, with a ``reset`` on request; what still comes is lost."""
        if self.ending is None:
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._end(Ending.LEFT)

    # What comes; a subclass may do more

    def answered(self) -> None:
        """Take the answer to its request, which may be a refusal."""
        if self.is_in:
            self.send(b"" if self.early else self.greeting)
        else:
            self._note_wait()

    def take(self, data: bytes) -> None:
        """Take what came once it was let in: as many bytes as there were."""
        self._buffer += data
        while (frame := pop_frame(self._buffer)) is not None:
            self.take_frame(frame)

    def take_frame(self, frame: Frame) -> None:
        """Take one frame."""
        if frame.opcode == TEXT:
            self.take_text(frame.payload)
        elif frame.opcode == PING:
            self.send(client_frame(PONG, frame.payload))

    def take_text(self, text: bytes) -> None:
        """Take one message."""
        if text.startswith(TICK):
            self.ticks.append(int(text[len(TICK) : text.index(b",", len(TICK))]))
            self._note_wait()

    def receive(self) -> bytes:
        """Return what there is to read."""
        return self.sock.recv(65536)

    # Where it stands

    @property
    def is_in(self) -> bool:
        """Whether it was let in."""
        return self.answer is not None and self.answer.status == 101

    # What the swarm does with it

    def open(self) -> None:
        """Make the socket; :meth:`dial` is the rest, so that many can dial within a few milliseconds."""
        self.sock = socket.socket()
        self.sock.setblocking(False)  # noqa: FBT003 # socket takes it by position
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unsent += self.request + self.greeting if self.early else self.request
        if self.receive_buffer_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer_bytes)

    def dial(self, address: tuple[str, int]) -> None:
        """Begin to connect."""
        self._dialled_s = time.perf_counter()
        error = self.sock.connect_ex(address)
        assert error in (0, errno.EINPROGRESS), os.strerror(error)

    def join(self, selector: selectors.BaseSelector) -> None:
        """Be one of those that a selector looks after."""
        self._selector = selector
        self._wants = selectors.EVENT_WRITE
        selector.register(self.sock, self._wants, self)

    def turn(self, ready: int) -> None:
        """Do what can be done without waiting."""
        if ready & selectors.EVENT_WRITE:
            self.is_connected = True  # or it failed, which a read tells
            self._flush()
        if ready & selectors.EVENT_READ and self.ending is None:
            self._read()

    # Private methods

    def _read(self) -> None:
        try:
            data = self.receive()
        except BlockingIOError:
            return
        except OSError:
            self._end(Ending.RESET)
            return
        if not data:
            self._end(Ending.RESET if self._is_reset else Ending.EOF)
        elif self.is_in:
            self.take(data)
        else:
            self._read_answer(data)

    def _read_answer(self, data: bytes) -> None:
        if self.answer is not None:
            return  # the body of a refusal
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if end:
            self._buffer.clear()
            self.answer = parse_head(bytes(head))
            self.answered()
            if rest and self.is_in:
                self.take(bytes(rest))

    def _flush(self) -> None:
        try:
            if self._unsent:
                del self._unsent[: self.sock.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()
            self._is_reset = True  # as only this call is told; what was sent to us before may still be read
        self._watch()

    def _watch(self) -> None:
        wants = (selectors.EVENT_READ if self._reads else 0) | (selectors.EVENT_WRITE if self._unsent else 0)
        if self.ending is not None or wants == self._wants:
            return
        if not wants:
            self._selector.unregister(self.sock)
        elif not self._wants:
            self._selector.register(self.sock, wants, self)
        else:
            self._selector.modify(self.sock, wants, self)
        self._wants = wants

    def _end(self, ending: Ending) -> None:
        if self._wants:
            self._selector.unregister(self.sock)
            self._wants = 0
        self.sock.close()
        self.ending = ending

    def _note_wait(self) -> None:
        if self.waited_s is None:
            self.waited_s = time.perf_counter() - self._dialled_s


class Swarm:
    """All of them, and the one loop that serves them: nothing happens but in :meth:`turn` and what calls it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.visitors: set[Visitor] = set()  # whose connection has not come to its end, as of the last turn
        self._address = address
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def dial(self, *visitors: Visitor) -> float:
        """Let them all begin to connect at once; return how long that took, in seconds."""
        for visitor in visitors:
            visitor.open()
        began_s = time.perf_counter()
        for visitor in visitors:
            visitor.dial(self._address)
        took_s = time.perf_counter() - began_s
        for visitor in visitors:
            visitor.join(self._selector)
        self.visitors.update(visitors)
        return took_s

    def turn(self, limit_s: float = 0.02) -> None:
        """Serve everybody whose socket is ready; wait for the first one, at most ``limit_s``."""
        for key, ready in self._selector.select(limit_s):
            visitor: Visitor = key.data
            if visitor.ending is None:  # what another one did may have ended it
                visitor.turn(ready)
            if visitor.ending is not None:
                self.visitors.discard(visitor)

    def run_until(self, condition: Callable[[], object], limit_s: float = PATIENCE_S) -> None:
        """Serve them until ``condition`` holds."""
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, "it never happened"
            self.turn()

    def run_for(self, seconds: float) -> None:
        """Serve them for that long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.turn(min(left, 0.02))

    def hang_up(self, visitors: Iterable[Visitor], *, reset: bool = False) -> None:
        """Close their connections."""
        for visitor in list(visitors):
            visitor.hang_up(reset=reset)
            self.visitors.discard(visitor)

    def close(self) -> None:
        """Close every connection, with a reset: no port stays taken."""
        self.hang_up(self.visitors, reset=True)
        self._selector.close()
