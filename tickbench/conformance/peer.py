"""
A WebSocket client that reads tolerantly, so that a fault of the server is seen by the one check meant for it.

Every wait has a timeout. A command is found wherever in a message it stands; whether it may stand there is for the
checks to say.
"""

import json
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from websocket import ABNF, WebSocketConnectionClosedException, WebSocketException, WebSocketTimeoutException

from shared.wire.frames import Opcode
from tickbench.conformance.field import Field
from tickbench.conformance.first_offenders import FirstOffenders
from tickbench.conformance.shapes import ReceivedCommands, decode, is_sound
from tickbench.conformance.ticks import SeenTick
from tickbench.conformance.verdict import FaultError, quote

GRACE_S = 0.5
"""How long after the answer to a later ping the answer to a fault may come."""


class PeerMessage(NamedTuple):
    """A text message that came."""

    text: str
    commands: ReceivedCommands
    """Empty if it is no array of commands."""
    at_us: int

    def named(self, name: str) -> ReceivedCommands:
        """Return the sound commands of that name."""
        return [command for command in self.commands if command[0] == name and is_sound(command)]

    def has(self, name: str) -> bool:
        """Whether a command of that name is in it, sound or not."""
        return any(command[0] == name for command in self.commands)

    def tells_of(self, name: str, player_id: int) -> bool:
        """Whether a sound command of that name is about that player: ``p_joined``, ``p_gameover``."""
        return any(command[1] == player_id for command in self.named(name))

    @property
    def ticks(self) -> list[SeenTick]:
        """What the message says of its tick, wherever in it that stands; empty if it is no tick frame."""
        return [SeenTick(n, due_us, sent_us, self.at_us, self.text) for _, n, due_us, sent_us in self.named("tick")]

    @property
    def is_error(self) -> bool:
        """Whether it is one error with a text and nothing else, as a refused message is answered."""
        return len(self.commands) == 1 and self.commands[0][0] == "error" and self.commands[0][1:2] not in ([], [""])


class PeerFrame(NamedTuple):
    """A frame that came, its payload without a mask."""

    opcode: int
    data: bytes
    is_final: bool


class NoMessageError(Exception):
    """No message comes; the kinds of it say why."""


class ClosedError(NoMessageError):
    """The server has sent a close frame."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.code = int.from_bytes(payload[:2]) if len(payload) >= 2 else None
        self.reason = payload[2:].decode(errors="replace")
        super().__init__(f"the server closed with {self.code or 'no code'}{self.reason and f' ({self.reason})'}")


class EndedError(NoMessageError):
    """The connection has ended without a close frame."""


class SilenceError(NoMessageError):
    """What was waited for did not come in time."""


class BadFrameError(NoMessageError):
    """What came is no frame of RFC 6455."""


class Peer:
    """
    A connection that was upgraded; ``clock`` tells the time in microseconds, ``patience_s`` is how long it waits.

    Pings of the server are answered while something is read. What reads raises FaultError for text that is not UTF-8,
    and NoMessageError.
    """

    def __init__(self, ws: Any, offenders: FirstOffenders, clock: Callable[[], int], patience_s: float) -> None:
        self.ws = ws
        self.offenders = offenders
        self.patience_s = patience_s
        self.field = Field()
        self.heard: list[PeerMessage] = []
        """All messages so far."""
        self.has_entered = False
        self.player_id = 0
        self._clock = clock
        self._parts: list[bytes] = []
        self._has_closed = False

    # What is sent

    def send(self, *messages: object) -> None:
        """Send JSON messages, in one breath: no tick comes in between because we were slow."""
        self.send_raw(b"".join(map(_text_frame, (json.dumps(message, separators=(",", ":")) for message in messages))))

    def send_text(self, text: str) -> None:
        """Send one text message."""
        self.send_raw(_text_frame(text))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        try:
            self.ws.sock.sendall(data)
        except (OSError, AttributeError) as error:
            raise EndedError(f"the connection had ended when {quote(data)} was to be sent") from error

    def close(self, payload: bytes = b"\x03\xe8", behind: bytes = b"") -> None:
        """Send a close frame, and in the same breath what is ``behind`` it."""
        self._has_closed = True
        self.send_raw(client_frame(Opcode.CLOSE, payload) + behind)

    def hang_up(self) -> None:
        """End the connection, if it has not ended yet."""
        self.ws.shutdown()

    # What comes

    @property
    def ticks(self) -> list[SeenTick]:
        """The tick of each tick frame so far."""
        return [tick for message in self.heard for tick in message.ticks[:1]]

    @property
    def errors(self) -> list[str]:
        """All errors so far, sound or not, quoted."""
        return [quote(command) for message in self.heard for command in message.commands if command[0] == "error"]

    def fileno(self) -> int:
        """Return the socket's descriptor, for select."""
        return int(self.ws.sock.fileno())

    def until(self, wanted: Callable[[PeerMessage], object], what: str, patience_s: float | None = None) -> PeerMessage:
        """Return the first message that is ``wanted``; SilenceError says that ``what`` did not come."""
        patience_s = self.patience_s if patience_s is None else patience_s
        deadline = time.monotonic() + patience_s
        while True:
            frame = self._next_frame(deadline, f"{what} did not come in {patience_s:.1f} s")
            if frame.opcode != Opcode.PONG and (message := self._take(frame)) and wanted(message):
                return message

    def next(self, what: str = "a message", patience_s: float | None = None) -> PeerMessage:
        """Return the next message."""
        return self.until(lambda _: True, what, patience_s)

    def next_tick(self) -> SeenTick:
        """Return the tick of the next tick frame."""
        return self.until(lambda message: message.ticks, "a tick frame").ticks[0]

    def next_with(self, name: str, what: str) -> PeerMessage:
        """Return the next message that has a command of that name."""
        return self.until(lambda message: message.has(name), what)

    def next_personal(self, what: str, patience_s: float | None = None) -> PeerMessage:
        """Return the next message that is no tick frame."""
        return self.until(lambda message: not message.ticks, what, patience_s)

    def next_pong_frame(self) -> bytes:
        """Return what the next pong frame carries; messages before it are thrown away."""
        deadline = time.monotonic() + self.patience_s
        while True:
            frame = self._next_frame(deadline, f"a pong frame did not come in {self.patience_s:.1f} s")
            if frame.opcode == Opcode.PONG:
                return frame.data

    def messages(self, seconds: float) -> Iterator[PeerMessage]:
        """Yield the messages that come in so many seconds."""
        until = time.monotonic() + seconds
        with suppress(SilenceError):
            while (left := until - time.monotonic()) > 0:
                yield self.next(patience_s=left)

    def settle(self) -> list[PeerMessage]:
        """Wait until the server has taken all that was sent, as a pong tells; return what came, with the pong."""
        before = len(self.heard)
        self.send(["ping", 1])
        self.next_with("pong", "the answer to a ping")
        return self.heard[before:]

    def error_flaw(self, text: str, what: str) -> str | None:
        """Send a text that is to be refused; say what came of it in place of an error."""
        self.send_text(text)
        try:
            # Before it has entered, a ping to see whether all was taken would be refused as well.
            came = self.settle()[:-1] if self.has_entered else []
            came = [message for message in came if not message.ticks]
            answer = came[0] if came else self.next_personal("an answer", GRACE_S if self.has_entered else None)
        except NoMessageError as error:
            return f"{what}: {error}"
        return None if answer.is_error else f"{what} was answered by {quote(answer.text)}"

    def close_flaw(self, what: str, *codes: int | None) -> str | None:
        """Say what came of ``what`` in place of a close frame; with one of ``codes`` if any are given, None is none."""
        before = len(self.heard)
        try:
            list(self.messages(self.patience_s))
        except ClosedError as closed:
            return None if not codes or closed.code in codes else f"{what}: {closed}"
        except NoMessageError as error:
            return f"{what}: {error}"
        came = quote(self.heard[-1].text) if self.heard[before:] else "nothing"
        return f"{what}: no close in {self.patience_s:.1f} s, last came {came}"

    # Private methods

    def _next_frame(self, deadline: float, silence: str) -> PeerFrame:
        """Return the next frame that is neither a ping, which is answered, nor a close frame."""
        while (left := deadline - time.monotonic()) > 0:
            frame = self._read_frame(left, silence)
            if frame.opcode == Opcode.PING:
                self.send_raw(client_frame(Opcode.PONG, frame.data))
            elif frame.opcode == Opcode.CLOSE:
                if not self._has_closed:
                    with suppress(EndedError):  # the server did not wait for the answer
                        self.close(frame.data[:2])
                raise ClosedError(frame.data)
            else:
                return frame
        raise SilenceError(silence)

    def _read_frame(self, patience_s: float, silence: str) -> PeerFrame:
        try:
            self.ws.settimeout(patience_s)
            abnf: ABNF = self.ws.recv_frame()
        except WebSocketTimeoutException:
            raise SilenceError(silence) from None
        except (OSError, WebSocketConnectionClosedException, AttributeError) as error:
            raise EndedError("the connection ended without a close frame") from error
        except WebSocketException as error:
            raise BadFrameError(f"what came is no frame of RFC 6455: {error}") from error
        data = abnf.data if isinstance(abnf.data, bytes) else abnf.data.encode()
        if abnf.mask_value:
            self.offenders.note_frame(f"a masked frame: {quote(data)}")
        return PeerFrame(abnf.opcode, data, bool(abnf.fin))

    def _take(self, frame: PeerFrame) -> PeerMessage | None:
        """Return the message that ends with this frame, if one does."""
        if frame.opcode == Opcode.BINARY:
            self.offenders.note_frame(f"a binary frame: {quote(frame.data)}")
        self._parts.append(frame.data)
        if not frame.is_final:
            return None
        data, self._parts = b"".join(self._parts), []
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise FaultError(f"a message that is not UTF-8: {quote(data)}", "text is UTF-8") from None
        commands = decode(text)
        self.offenders.note_text(text, commands)
        message = PeerMessage(text, commands or [], self._clock())
        self.heard.append(message)
        self.field.apply(message.commands)
        return message


def to_common_tick(ours: Peer, theirs: Peer) -> tuple[SeenTick, SeenTick] | None:
    """Read on until both have read the tick frame of the same n, and return both; None if that takes too long."""
    until = time.monotonic() + ours.patience_s
    mine, other = ours.next_tick(), theirs.next_tick()
    while mine.n != other.n:
        if time.monotonic() > until:
            return None
        mine, other = (ours.next_tick(), other) if mine.n < other.n else (mine, theirs.next_tick())
    return mine, other


def client_frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, masked: bool = True
) -> bytes:
    """Build a client's frame, right or wrong."""
    plain = ABNF(fin=1, opcode=ABNF.OPCODE_BINARY, mask_value=int(masked), data=payload).format()
    return bytes([fin << 7 | reserved << 4 | opcode]) + plain[1:]  # the library refuses to build wrong ones


def _text_frame(text: str) -> bytes:
    return client_frame(Opcode.TEXT, text.encode())


def declared_frame(length: int) -> bytes:
    """Build the head of a text frame that declares a payload of ``length`` bytes; none follows."""
    return struct.pack("!BBQ", 0x80 | Opcode.TEXT, 0x80 | 127, length) + os.urandom(4)
