"""Connections without a socket: what a room and a lobby know of them."""

import json
from typing import Any
from weakref import WeakKeyDictionary

from shared.rooms.game import Game
from shared.rooms.room import Room
from shared.wire.session import ConnectionLimits, Session

NOW = 77_000_000

_games: WeakKeyDictionary[Room[Any], Game] = WeakKeyDictionary()


def game_of(room: Room[Any]) -> Game:
    """Return the game of a room, as a loop would have it beside the room."""
    return _games.setdefault(room, Game(room.setup))


def step(room: Room[Any]) -> list[Any]:
    """Apply one step to a room and its game; return who has something of its own to be told."""
    return room.apply(game_of(room).step(room.take_inputs()))


class Visitor:
    """A member of a room that remembers what it is told."""

    is_here = True

    def __init__(self, serial: int = 0) -> None:
        self.serial = serial
        self.wakes_us = 0
        self.session = Session(ConnectionLimits(max_messages=10_000), NOW)

    def says(self, room: "Room[Visitor]", text: str) -> None:
        """Say something to the room, as a server hands it on."""
        message = self.session.receive_text(text, NOW)
        if message is not None:
            newcomer = room.receive(self, message)
            if newcomer:
                room.enter(self, newcomer, game_of(room).welcome(newcomer), NOW)

    def enters(self, room: "Room[Visitor]", name: str = "ann") -> list[Any]:
        """Enter the room; return the commands of the welcome."""
        self.says(room, json.dumps(["new_player", name]))
        (welcome,) = self.hears()
        assert isinstance(welcome, list)
        return welcome

    def hears(self) -> list[Any]:
        """Take what it alone was told."""
        return [json.loads(outgoing.payload) for outgoing in self.session.take_outgoing()]
