"""
One WebSocket connection as a state machine: rate limits, timeouts, pings, the close handshake.

Feed it what arrived and what time it is; then send what :meth:`Session.take_outgoing` returns. It does no input or
output, and knows nothing of what goes on in a room.
"""

from dataclasses import dataclass
from enum import Enum, auto

from msgspec import Struct

from shared.wire.errors import ClientError, InvariantError
from shared.wire.frames import CloseCode, Opcode, close_payload, echoed_close_code
from shared.wire.messages import (
    ClientMessage,
    ErrorText,
    Ignored,
    NewPlayer,
    Ping,
    Pong,
    decode_client_message,
    encode_commands,
)
from shared.wire.stalls import NO_STALLS, Stalls

ECHO_LIMIT_BYTES = 2**20

STOPPING = "the server is shutting down"
"""Why a connection is closed with 1001."""

CANT_OPEN = "the room can't be opened now"
TOO_SLOW = "a slow consumer"
"""Why a connection is closed with 1013."""

SPARED_S = 1.0
"""How much longer, once, a peer may take whose time is up when the server was held up: its message may lie unread."""

CLOSING_PAUSE_S = 0.005
"""Between two messages of a peer that is being closed: they are dropped, and must not keep others waiting."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a connection may do; durations in seconds."""

    max_message_bytes: int = 4096
    max_messages: int = 60  # a second, control frames too
    max_faults: int = 3
    fault_window_s: float = 10
    new_player_limit_s: float = 10
    max_unnamed: int = 500  # of a server: of more connections without a name, the oldest are ended
    ping_interval_s: float = 20
    max_missed_pings: int = 2
    close_limit_s: float = 1
    slow_limit_s: float = 5

    @property
    def silence_limit_s(self) -> float:
        """How long a peer may say and take nothing."""
        return self.ping_interval_s * (self.max_missed_pings + 1)


class SessionState(Enum):
    """Where a connection stands."""

    CONNECTED = auto()  # no accepted new_player yet
    IN_ROOM = auto()
    CLOSING = auto()  # our close frame is on its way, we wait for the peer's
    ENDED = auto()  # nothing more to send or receive


CONNECTED, IN_ROOM, CLOSING, ENDED = SessionState


class Outgoing(Struct, frozen=True, gc=False):
    """One message for this connection alone, and its ``frame`` where that is built already."""

    opcode: Opcode
    payload: bytes
    frame: bytes = b""


class Session:
    """
    One connection.

    After every call, send what :meth:`take_outgoing` returns, in order; when :attr:`state` is ``ENDED``, end the
    transport, at once if :attr:`aborted`. Call :meth:`wake` at :attr:`deadline_us`. Times are microseconds of a clock;
    ``stalls`` are those of the server, in which it read nothing of what peers sent, and the deadline is one of the time
    in which the server ran (:meth:`shared.wire.stalls.Stalls.running_us`).
    """

    # There are thousands, and of an idle connection this is most of its memory.
    __slots__ = (
        "_fault_times",
        "_is_spared",
        "_limits",
        "_message_times",
        "_met_us",
        "_outgoing",
        "_pings_missed",
        "_pings_sent",
        "_stalls",
        "aborted",
        "close_code",
        "closed_by_peer",
        "dead",
        "deadline_us",
        "name",
        "player_id",
        "state",
    )

    def __init__(self, limits: ConnectionLimits, now_us: int, stalls: Stalls = NO_STALLS) -> None:
        self.state = CONNECTED
        self.player_id: int | None = None
        self.name = ""
        self.close_code: int | None = None  # the code that we sent
        self.closed_by_peer = False  # whether that answers the peer's close frame, with the code that the peer chose
        self.aborted = False
        self.dead = False  # ended because it did not answer pings
        self._limits = limits
        self._met_us = now_us  # nothing arrived before
        self._stalls = stalls
        self._is_spared = False
        self._wake_after(limits.new_player_limit_s, now_us)
        self._outgoing: list[Outgoing] = []
        # The earliest time at which each can have arrived, if those before it kept the limit.
        self._message_times: list[int] = []  # the last max_messages of them
        self._fault_times: list[int] = []  # the last max_faults of them
        self._pings_sent = 0
        self._pings_missed = 0

    @property
    def is_open(self) -> bool:
        """Whether messages are still taken and sent."""
        return self.state is CONNECTED or self.state is IN_ROOM

    @property
    def has_gone(self) -> bool:
        """Whether it has ended without being aborted."""
        return self.state is ENDED and not self.aborted

    @property
    def close_label(self) -> str | None:
        """What its end is counted as: the code that we sent, ``peer`` where the peer chose it, None without one."""
        if self.close_code is None:
            return None
        return "peer" if self.closed_by_peer else str(int(self.close_code))

    # What arrives

    def receive(self, opcode: Opcode, data: str | bytes | int, now_us: int) -> ClientMessage | None:
        """Take one message of any kind; return it decoded if it is for the room, else None."""
        match opcode, data:
            case Opcode.TEXT, str(text):
                return self.receive_text(text, now_us)
            case Opcode.BINARY, _:
                self.receive_binary(now_us)
            case Opcode.PING, bytes(payload):
                self.receive_ping(payload, now_us)
            case Opcode.PONG, bytes(payload):
                self.receive_pong(payload, now_us)
            case Opcode.CLOSE, int(code):
                self.receive_close(code, now_us)
            case _:
                raise InvariantError(f"no such message: {opcode!r} with {type(data).__name__}")
        return None

    def receive_text(self, text: str, now_us: int) -> ClientMessage | None:
        """Take a text message; return it decoded if it is for the room, else None."""
        if not self._admit_message(now_us):
            return None
        try:
            return self._judge(decode_client_message(text), now_us)
        except ClientError as error:
            self._fault(str(error), now_us)
            return None

    def receive_binary(self, now_us: int) -> None:
        """Take a binary message: there are none in this protocol."""
        if self._admit_message(now_us):
            self.close(CloseCode.UNSUPPORTED_DATA, "text messages only", now_us)

    def receive_ping(self, payload: bytes, now_us: int) -> None:
        """Take a ping frame."""
        if self._admit_message(now_us):
            self._outgoing.append(Outgoing(Opcode.PONG, payload))

    def receive_pong(self, payload: bytes, now_us: int) -> None:
        """Take a pong frame; only the answer to our latest ping proves that the peer lives."""
        if self._admit_message(now_us) and payload == self._ping_payload():
            self._pings_missed = 0

    def receive_close(self, code: int, now_us: int) -> None:
        """Take a close frame (code 0: it had none): answer it unless ours went first. The connection has ended."""
        if self.is_open:
            answer = echoed_close_code(code)
            self.closed_by_peer = answer in (code, CloseCode.NORMAL)
            self.close(answer, "", now_us)
        self.state = ENDED

    def receive_eof(self) -> None:
        """Take the end of the stream."""
        self.state = ENDED

    def abort(self) -> None:
        """End it at once, whatever is still to be sent."""
        self.state = ENDED
        self.aborted = True
        self._outgoing.clear()

    # What is to be told

    def send(self, payload: bytes) -> None:
        """Send a text message to this connection alone."""
        if self.is_open:
            self._outgoing.append(Outgoing(Opcode.TEXT, payload))

    def enter(self, player_id: int, name: str, welcome: bytes, now_us: int) -> None:
        """Note that the room has accepted its ``new_player``."""
        self.player_id = player_id
        self.name = name
        self.state = IN_ROOM
        self._wake_after(self._limits.ping_interval_s, now_us)
        self.send(welcome)

    def close(self, code: int, reason: str, now_us: int) -> None:
        """Close it from our side, or because of a protocol error; the second call does nothing."""
        if not self.is_open:
            return
        self.state = CLOSING
        self.close_code = code
        self._wake_after(self._limits.close_limit_s, now_us)
        self._outgoing.append(Outgoing(Opcode.CLOSE, close_payload(code, reason)))

    def take_outgoing(self) -> list[Outgoing]:
        """Return what is to be sent, in order, and forget it."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # Time

    def wake(self, now_us: int) -> None:
        """Do what is due: ping, close, or give up."""
        if self._stalls.running_us(now_us) < self.deadline_us or self.state is ENDED or self.spare(now_us):
            return
        if self.state is CONNECTED:
            self.close(CloseCode.POLICY_VIOLATION, "no new_player in time", now_us)
        elif self.state is CLOSING:
            self.abort()
        elif self._pings_missed >= self._limits.max_missed_pings:
            self.dead = True
            self.abort()
        else:
            self._pings_missed += 1
            self._pings_sent += 1
            self._outgoing.append(Outgoing(Opcode.PING, self._ping_payload()))
            self._wake_after(self._limits.ping_interval_s, now_us)

    def spare(self, now_us: int) -> bool:
        """Put its deadline off by a second, once, if the server was held up; return whether it did."""
        if self._is_spared or not self._stalls.is_recent(now_us):
            return False
        self._is_spared = True  # once, or a server that is held up again and again would never end a connection
        self.deadline_us = self._stalls.running_us(now_us) + _us(SPARED_S)
        return True

    # Private methods

    def _wake_after(self, seconds: float, now_us: int) -> None:
        self.deadline_us = self._stalls.running_us(now_us) + _us(seconds)
        self._is_spared = False

    def _judge(self, message: ClientMessage, now_us: int) -> ClientMessage | None:
        if isinstance(message, NewPlayer):
            if self.state is IN_ROOM:
                raise ClientError("new_player comes once")
            return message
        if self.state is CONNECTED:
            raise ClientError("new_player comes first")
        if isinstance(message, Ping):
            self.send(encode_commands([Pong(message.t, now_us)]))
            return None
        return None if isinstance(message, Ignored) else message

    def _admit_message(self, now_us: int) -> bool:
        """Count a message; close the connection where there are too many of them within one second."""
        if not self.is_open:
            return False
        if self._note(self._message_times, self._limits.max_messages, 1.0, now_us):
            return True
        self.close(CloseCode.POLICY_VIOLATION, "too many messages", now_us)
        return False

    def _fault(self, why: str, now_us: int) -> None:
        # The fault that reaches the limit closes, not the one after it.
        if self._note(self._fault_times, self._limits.max_faults - 1, self._limits.fault_window_s, now_us):
            self.send(encode_commands([ErrorText(why)]))
        else:
            self.close(CloseCode.POLICY_VIOLATION, why, now_us)

    def _note(self, times: list[int], most: int, window_s: float, now_us: int) -> bool:
        """Note an arrival, of which there may be ``most`` within ``window_s``; return False if it is one too many."""
        arrived_us = max(self._stalls.arrived_since(now_us), times[-1] if times else self._met_us)
        if len(times) == most:
            if not times or (arrived_us := max(arrived_us, times[0] + _us(window_s))) > now_us:
                return False
            del times[0]
        times.append(arrived_us)
        return True

    def _ping_payload(self) -> bytes:
        return b"%d" % self._pings_sent


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)


class EchoSession(Session):
    """A connection of ``/echo``: every message goes back as it came, and neither rate nor room matter."""

    __slots__ = ()

    def __init__(self, limits: ConnectionLimits, now_us: int, stalls: Stalls = NO_STALLS) -> None:
        super().__init__(limits, now_us, stalls)
        self.state = IN_ROOM
        self._wake_after(limits.ping_interval_s, now_us)

    def receive_text(self, text: str, now_us: int) -> None:  # noqa: ARG002 # as the base
        """Send a text message back."""
        self.send(text.encode())

    def receive(self, opcode: Opcode, data: str | bytes | int, now_us: int) -> ClientMessage | None:
        """Send a binary message back; leave the others to the base."""
        if opcode is Opcode.BINARY and isinstance(data, bytes):
            if self.is_open:
                self._outgoing.append(Outgoing(Opcode.BINARY, data))
            return None
        return super().receive(opcode, data, now_us)

    def _admit_message(self, now_us: int) -> bool:  # noqa: ARG002 # as the base
        return self.is_open
