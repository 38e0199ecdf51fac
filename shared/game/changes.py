"""
The changes that a step of the rules can make, as the commands that tell clients of them.

Each change is a frozen record whose array form is the command of the wire protocol (``["render", x, y, char, color]``),
so that nothing has to be translated on the tick path.
"""

import msgspec


class Change(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of all changes. ``gc=False``: they hold only strings and numbers, never each other."""


class CellChanged(Change, frozen=True, array_like=True, gc=False, tag="render"):
    """One cell of the field shows another char or color; a space is an empty cell."""

    x: int
    y: int
    char: str
    color: int


class WorldReset(Change, frozen=True, array_like=True, gc=False, tag="reset_world"):
    """The whole field is empty again."""


class PlayerJoined(Change, frozen=True, array_like=True, gc=False, tag="p_joined"):
    """A snake was born."""

    player_id: int
    name: str
    color: int
    score: int


class PlayerScored(Change, frozen=True, array_like=True, gc=False, tag="p_score"):
    """A snake ate; ``score`` is its new total."""

    player_id: int
    score: int


class PlayerDied(Change, frozen=True, array_like=True, gc=False, tag="p_gameover"):
    """A snake died; its body stays in the field for a while."""

    player_id: int


class TopScoresListed(Change, frozen=True, array_like=True, tag="top_scores"):
    """The best scores by name, best first, as ``(name, score, color)``."""

    rows: list[tuple[str, int, int]]
