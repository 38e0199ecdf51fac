"""
A WebSocket client that reads tolerantly, so that a fault of the server is seen by the one check meant for it.

Every wait has a timeout. A command is found wherever in a message it stands; whether it may stand there is for the
checks to say.
"""

import itertools
import json
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from websocket import ABNF, WebSocketConnectionClosedException, WebSocketTimeoutException

from shared.wire.frames import Opcode
from tickbench.conformance.field import Field
from tickbench.conformance.first_offenders import FirstOffenders
from tickbench.conformance.shapes import Commands, decode, is_sound
from tickbench.conformance.ticks import SeenTick
from tickbench.conformance.verdict import FaultError, quote

_numbers = itertools.count(1000)


class Message(NamedTuple):
    """A text message that came."""

    text: str
    commands: Commands
    """Empty if it is no array of commands."""
    at_us: int

    def named(self, name: str) -> Commands:
        """Return the sound commands of that name."""
        return [command for command in self.commands if command[0] == name and is_sound(command)]

    def has(self, name: str) -> bool:
        """Whether a command of that name is in it, sound or not."""
        return any(command[0] == name for command in self.commands)

    @property
    def tick(self) -> SeenTick | None:
        """What the message says of its tick, wherever in it that stands; None if it is no tick frame."""
        ticks = self.named("tick")
        if not ticks:
            return None
        _, n, due_us, sent_us = ticks[0]
        return SeenTick(n, due_us, sent_us, self.at_us, self.text)

    @property
    def is_error(self) -> bool:
        """Whether it is one error with a text and nothing else, as a refused message is answered."""
        return len(self.commands) == 1 and self.commands[0][0] == "error" and self.commands[0][1:2] not in ([], [""])


class ClosedError(Exception):
    """The server has sent a close frame."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.code = int.from_bytes(payload[:2]) if len(payload) >= 2 else None
        self.reason = payload[2:].decode(errors="replace")
        super().__init__(f"the server closed with {self.code or 'no code'}{self.reason and f' ({self.reason})'}")


class EndedError(Exception):
    """The connection has ended without a close frame."""


class SilenceError(Exception):
    """What was waited for did not come in time."""


class Peer:
    """
    A connection that was upgraded; ``clock`` tells the time in microseconds, ``patience_s`` is how long it waits.

    Pings of the server are answered while something is read.
    """

    def __init__(self, ws: Any, ledger: FirstOffenders, clock: Callable[[], int], patience_s: float) -> None:
        self.ws = ws
        self.ledger = ledger
        self.patience_s = patience_s
        self.field = Field()
        self.welcome: list[Message] = []
        self.player_id = 0
        self._clock = clock
        self._parts: list[bytes] = []
        self._has_closed = False

    # What is sent

    def send(self, message: object) -> None:
        """Send one JSON message."""
        self.send_text(json.dumps(message, separators=(",", ":")))

    def send_text(self, text: str) -> None:
        """Send one text message."""
        self.send_raw(client_frame(Opcode.TEXT, text.encode()))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        try:
            self.ws.sock.sendall(data)
        except (OSError, AttributeError) as error:
            raise EndedError(f"the connection had ended when {quote(data)} was to be sent") from error

    def close(self, payload: bytes = b"\x03\xe8") -> None:
        """Send a close frame."""
        self._has_closed = True
        self.send_raw(client_frame(Opcode.CLOSE, payload))

    def hang_up(self) -> None:
        """End the connection, if it has not ended yet."""
        self.ws.shutdown()

    # What comes

    def fileno(self) -> int:
        """Return the socket's descriptor, for select."""
        return int(self.ws.sock.fileno())

    def next_frame(self, patience_s: float | None = None, what: str = "a message") -> ABNF:
        """
        Return the next frame other than a ping; pings are answered.

        Raises:
            SilenceError: none came in time.
            ClosedError: a close frame came.
            EndedError: the connection ended.
            WebSocketException: the frame is not one of RFC 6455.

        """
        patience_s = self.patience_s if patience_s is None else patience_s
        until = time.monotonic() + patience_s
        while True:
            frame = self._read_frame(max(0.001, until - time.monotonic()), f"{what} did not come in {patience_s:.1f} s")
            if frame.opcode == Opcode.PING:
                self.send_raw(client_frame(Opcode.PONG, _bytes(frame.data)))
            elif frame.opcode == Opcode.CLOSE:
                self._answer_close(_bytes(frame.data))
            else:
                return frame

    def next(self, patience_s: float | None = None, what: str = "a message") -> Message:
        """Return the next text message; raises as :meth:`next_frame`, and FaultError if it is not UTF-8."""
        while True:
            frame = self.next_frame(patience_s, what)
            if frame.opcode == Opcode.PONG:
                continue
            if frame.opcode == Opcode.BINARY:
                self.ledger.note_frame(f"a binary frame: {quote(_bytes(frame.data))}")
            self._parts.append(_bytes(frame.data))
            if frame.fin:
                whole, self._parts = b"".join(self._parts), []
                return self._take(whole)

    def next_pong(self) -> bytes:
        """Return what the next pong frame carries; messages before it are thrown away."""
        until = time.monotonic() + self.patience_s
        while True:
            frame = self.next_frame(max(0.001, until - time.monotonic()), "a pong frame")
            if frame.opcode == Opcode.PONG:
                return _bytes(frame.data)

    def messages(self, seconds: float) -> Iterator[Message]:
        """Yield the messages that come in so many seconds."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                yield self.next(left)
            except SilenceError:
                return

    def until(self, wanted: Callable[[Message], object], what: str, patience_s: float | None = None) -> Message:
        """Return the first message that is ``wanted``; SilenceError says that ``what`` did not come."""
        patience_s = self.patience_s if patience_s is None else patience_s
        until = time.monotonic() + patience_s
        while True:
            if (left := until - time.monotonic()) <= 0:
                raise SilenceError(f"{what} did not come in {patience_s:.1f} s")
            try:
                message = self.next(left, what)
            except SilenceError:
                raise SilenceError(f"{what} did not come in {patience_s:.1f} s") from None
            if wanted(message):
                return message

    def next_tick(self) -> Message:
        """Return the next tick frame."""
        return self.until(lambda message: message.tick, "a tick frame")

    def next_personal(self, what: str, patience_s: float | None = None) -> Message:
        """Return the next message that is no tick frame."""
        return self.until(lambda message: not message.tick, what, patience_s)

    def settle(self) -> list[Message]:
        """Wait until the server has taken all that was sent, as a pong tells; return what came, with the pong."""
        came: list[Message] = []
        self.send(["ping", next(_numbers)])

        def is_answer(message: Message) -> bool:
            came.append(message)
            return message.has("pong")

        self.until(is_answer, "the answer to a ping")
        return came

    def expect_close(self, right: str, what: str) -> ClosedError:
        """Return the close frame that comes, after any messages; FaultError says what came instead."""
        until = time.monotonic() + self.patience_s
        last = ""
        try:
            while time.monotonic() < until:
                last = self.next(max(0.001, until - time.monotonic())).text
        except ClosedError as closed:
            return closed
        except EndedError as ended:
            raise FaultError(f"{what}: {ended}", right) from ended
        except SilenceError:
            pass
        raise FaultError(f"{what}: no close in {self.patience_s:.1f} s, last came {quote(last) or 'nothing'}", right)

    # Private methods

    def _read_frame(self, patience_s: float, silence: str) -> ABNF:
        try:
            self.ws.settimeout(patience_s)
            frame: ABNF = self.ws.recv_frame()
        except WebSocketTimeoutException:
            raise SilenceError(silence) from None
        except (OSError, WebSocketConnectionClosedException, AttributeError) as error:
            raise EndedError("the connection ended without a close frame") from error
        if frame.mask_value:
            self.ledger.note_frame(f"a masked frame: {quote(_bytes(frame.data))}")
        return frame

    def _answer_close(self, payload: bytes) -> None:
        if not self._has_closed:
            with suppress(EndedError):  # the server did not wait for the answer
                self.close(payload[:2])
        raise ClosedError(payload)

    def _take(self, data: bytes) -> Message:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise FaultError(f"a message that is not UTF-8: {quote(data)}", "text is UTF-8") from None
        commands = decode(text)
        self.ledger.note_text(text, commands)
        message = Message(text, commands or [], self._clock())
        self.field.apply(message.commands)
        return message


def to_common_tick(ours: Peer, theirs: Peer) -> tuple[SeenTick, SeenTick] | None:
    """Read on until both have read the tick frame of the same n, and return both; None if that takes too long."""
    until = time.monotonic() + ours.patience_s
    mine, other = ours.next_tick().tick, theirs.next_tick().tick
    while mine and other and mine.n != other.n:
        if time.monotonic() > until:
            return None
        if mine.n < other.n:
            mine = ours.next_tick().tick
        else:
            other = theirs.next_tick().tick
    return (mine, other) if mine and other else None


def client_frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, masked: bool = True
) -> bytes:
    """Build a client's frame, right or wrong."""
    plain = ABNF(fin=1, opcode=ABNF.OPCODE_BINARY, mask_value=int(masked), data=payload).format()
    return bytes([fin << 7 | reserved << 4 | opcode]) + plain[1:]  # the library refuses to build wrong ones


def declared_frame(length: int) -> bytes:
    """Build the head of a text frame that declares a payload of ``length`` bytes; none follows."""
    return struct.pack("!BBQ", 0x80 | Opcode.TEXT, 0x80 | 127, length) + os.urandom(4)


def _bytes(data: str | bytes) -> bytes:
    return data if isinstance(data, bytes) else data.encode()
