"""Reads rows of scores that anybody may have written: those that the game could have saved, in its order."""

from collections.abc import Iterable

from shared.game.scores import MAX_TOP_SCORES
from shared.rooms.scores import ScoreRows
from shared.wire.errors import ClientError
from shared.wire.names import MAX_NAME_LENGTH, clean_name

MAX_NAME_BYTES = 4 * MAX_NAME_LENGTH
MAX_SCORE = 2**53
"""Beyond it a JSON number is no exact integer for everybody."""


def sound_rows(stored: Iterable[tuple[bytes | None, int | None]]) -> ScoreRows:
    """Return the rows that are sound, of a name the best; best first, equals as given, as many as a list has."""
    rows = [row for name, score in stored if (row := _checked(name, score))]
    best: dict[str, int] = {}
    for name, score in sorted(rows, key=lambda row: -row[1]):
        best.setdefault(name, score)
    return list(best.items())[:MAX_TOP_SCORES]


def _checked(name: bytes | None, score: int | None) -> tuple[str, int] | None:
    """Return a row as the game would have saved it; None if it is damaged."""
    if name is None or score is None or len(name) > MAX_NAME_BYTES or not 0 < score <= MAX_SCORE:
        return None
    try:
        return clean_name(name.decode()), score
    except (ClientError, UnicodeDecodeError):
        return None
