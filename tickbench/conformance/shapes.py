"""
What each command of the server must look like by itself: its arguments and their types.

The protocol's table is written down here once more, on purpose: types that a server encodes with would share its
faults.
"""

import json
import re
from typing import Annotated, Any

import msgspec

ReceivedCommands = list[list[Any]]

Natural = Annotated[int, msgspec.Meta(ge=0)]
Char = Annotated[str, msgspec.Meta(min_length=1, max_length=1)]
PlayerName = Annotated[str, msgspec.Meta(min_length=1, max_length=15)]
SomeText = Annotated[str, msgspec.Meta(min_length=1)]
AnyNumber = int | float
Time = Annotated[int, msgspec.Meta(gt=0)]

SHAPES: dict[str, tuple[Any, str]] = {
    "handshake": (tuple[PlayerName, int], "name, player id"),
    "world": (tuple[list[list[tuple[Char, Natural]]]], "rows of [char, color], all equally long"),
    "reset_world": (tuple[()], "none"),
    "render": (tuple[Natural, Natural, Char, Natural], "x, y, char, color"),
    "p_joined": (tuple[int, PlayerName, Natural, Natural], "player id, name, color, score"),
    "p_score": (tuple[int, Natural], "player id, score"),
    "p_gameover": (tuple[int], "player id"),
    "top_scores": (tuple[list[tuple[PlayerName, Natural, Natural]]], "a list of [name, score, color]"),
    "error": (tuple[SomeText], "text"),
    "tick": (tuple[Natural, Time, Time], "n, due_us, sent_us, all integers"),
    "pong": (tuple[AnyNumber, Time], "t, server_us"),
    "pad": (tuple[str], "text"),
}
"""Name of a command to its arguments, and to the protocol's words for them."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def decode(text: str) -> ReceivedCommands | None:
    """Return the commands of a message, None if it is no array of arrays that begin with a name."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or not value:
        return None
    has_names = all(isinstance(command, list) and command and isinstance(command[0], str) for command in value)
    return value if has_names else None


def flaw(command: list[Any]) -> str | None:
    """Return what is wrong with the arguments of a known command."""
    return _type_flaw(command) or (_world_flaw(command[1]) if command[0] == "world" else None)


def is_sound(command: list[Any]) -> bool:
    """Whether it is a known command with arguments that can be used; the rows of a world may differ in length."""
    return command[0] in SHAPES and _type_flaw(command) is None


def has_white_space(text: str) -> bool:
    """Whether there is white space between the tokens of a JSON text."""
    return re.search(r"\s", _STRING.sub("", text)) is not None


def _type_flaw(command: list[Any]) -> str | None:
    try:
        msgspec.convert(command[1:], SHAPES[command[0]][0])
    except msgspec.ValidationError as error:
        return str(error)
    return None


def _world_flaw(rows: list[list[Any]]) -> str | None:
    widths = {len(row) for row in rows}
    if len(widths) == 1 and 0 not in widths:
        return None
    return f"rows of {sorted(widths)} cells" if widths else "no rows"
