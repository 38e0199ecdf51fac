"""A peer without a socket, and the clock that its session is told."""

import json
from typing import Any

from shared.wire.frames import Opcode
from shared.wire.messages import NewPlayer
from shared.wire.session import CLOSING, ConnectionLimits, Session
from shared.wire.stalls import NO_STALLS, Stalls

SECOND = 1_000_000
START = 5_000 * SECOND
HELLO = '["new_player","ann"]'


class Peer:
    """A session with a clock; :attr:`now` is in microseconds."""

    def __init__(
        self,
        limits: ConnectionLimits | None = None,
        kind: type[Session] = Session,
        stalls: Stalls = NO_STALLS,
        now: int = START,
    ) -> None:
        self.now = now
        self.session = kind(limits or ConnectionLimits(), self.now, stalls)

    def says(self, text: str) -> object:
        return self.session.receive_text(text, self.now)

    def enters(self) -> "Peer":
        assert self.says(HELLO) == NewPlayer("ann")
        self.session.enter(7, "ann", b"[1]", self.now)
        assert self.hears() == [[1]]
        return self

    def waits(self, seconds: float) -> "Peer":
        self.now += round(seconds * SECOND)
        return self

    def does(self, name: str, argument: Any) -> None:
        """Do what a generated test asks for."""
        match name:
            case "says":
                if isinstance(self.says(argument), NewPlayer):
                    self.session.enter(7, "ann", b"[1]", self.now)
            case "receive_ping" | "receive_pong" | "receive_close":
                getattr(self.session, name)(argument, self.now)
            case "receive_binary" | "wake":
                getattr(self.session, name)(self.now)
            case "receive_eof":
                self.session.receive_eof()
            case "close":
                self.session.close(1001, "bye", self.now)
            case "send":
                self.session.send(b"[]")
            case "waits":
                self.waits(argument)

    def wakes(self) -> None:
        self.session.wake(self.now)

    def hears(self) -> list[Any]:
        """Take what it is told: JSON as values, other frames as name and payload."""
        return [
            json.loads(outgoing.payload) if outgoing.opcode is Opcode.TEXT else (outgoing.opcode.name, outgoing.payload)
            for outgoing in self.session.take_outgoing()
        ]

    def is_closed(self, code: int) -> bool:
        """Whether a close frame with that code is the last that it hears."""
        *_, (name, payload) = self.hears()
        return (self.session.state, self.session.close_code) == (CLOSING, code) and (name, payload[:2]) == (
            "CLOSE",
            code.to_bytes(2),
        )
