"""The interface of a store for the top scores of each room, and the store that keeps them in memory."""

from typing import Protocol

from shared.game.scores import TopScores

ScoreRows = list[tuple[str, int]]


class ScoreStore(Protocol):
    """Keeps the best scores by room."""

    def load(self, room: str) -> ScoreRows:
        """Return a room's rows of name and score, best first."""

    def save(self, room: str, rows: ScoreRows) -> None:
        """Keep a room's rows; in a file they outlive the process from when this returns."""

    def look(self, now_us: int) -> bool:
        """Do periodic work, at once; return whether :meth:`write_back` is to be called, away from the ticks."""

    def write_back(self) -> None:
        """Do the work that waits for a disk or a network; raise nothing and log nothing."""

    def close(self) -> None:
        """Close what is open."""


class MemoryScores:
    """Keeps the scores as long as the server runs, of the last ``max_rooms`` rooms that scored."""

    def __init__(self, max_rooms: int) -> None:
        self._max_rooms = max_rooms
        self._rooms: dict[str, ScoreRows] = {}

    def load(self, room: str) -> ScoreRows:
        """Return a room's rows."""
        return list(self._rooms.get(room, ()))

    def save(self, room: str, rows: ScoreRows) -> None:
        """Keep a room's rows; forget the room that scored longest ago when there are too many."""
        self._rooms.pop(room, None)
        self._rooms[room] = list(rows)
        if len(self._rooms) > self._max_rooms:
            del self._rooms[next(iter(self._rooms))]

    def look(self, now_us: int) -> bool:  # noqa: ARG002 # it is the same at any time
        """Return that nothing is to be done."""
        return False

    def write_back(self) -> None:
        """Do nothing: there is no disk."""

    def close(self) -> None:
        """Do nothing: there is nothing open."""


def merged(older: ScoreRows, newer: ScoreRows) -> ScoreRows:
    """Return the rows of a list to which those of another were added one by one: of equal scores the older first."""
    top = TopScores(newer)
    top.recall(older)
    return top.rows
