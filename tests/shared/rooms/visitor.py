"""Connections without a socket: what a room and a lobby know of them."""

import json
from typing import TYPE_CHECKING, Any

from shared.wire.session import Limits, Session

if TYPE_CHECKING:
    from shared.rooms.room import Room

NOW = 77_000_000


class Visitor:
    """A member of a room that remembers what it is told."""

    def __init__(self, serial: int = 0) -> None:
        self.serial = serial
        self.wakes_us = 0
        self.session = Session(Limits(max_messages=10_000), NOW)

    def says(self, room: "Room[Visitor]", text: str) -> None:
        """Say something to the room, as a server hands it on."""
        message = self.session.receive_text(text, NOW)
        if message is not None:
            room.receive(self, message, NOW)

    def enters(self, room: "Room[Visitor]", name: str = "ann") -> list[Any]:
        """Enter the room; return the commands of the welcome."""
        self.says(room, json.dumps(["new_player", name]))
        (welcome,) = self.hears()
        assert isinstance(welcome, list)
        return welcome

    def hears(self) -> list[Any]:
        """Take what it alone was told."""
        return [json.loads(outgoing.payload) for outgoing in self.session.take_outgoing()]
