"""What can be played: a table of scenarios. Knows nothing of Locust or of connections."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who comes, and to which rooms."""

    about: str
    user: str
    """The name of a class of locustfile.py."""
    room_size: int | None = None
    """How many share a room (r0, r1, ...); None for all in the one of the URL."""

    def room(self, index: int) -> str | None:
        """Return the room of the ``index``-th user, None for that of the URL."""
        return None if self.room_size is None else f"r{index // self.room_size}"


SCENARIOS = {
    "steady": Scenario("everybody watches the same room", user="Spectator"),
    "players": Scenario("everybody plays, in rooms of ten", user="Player", room_size=10),
}
