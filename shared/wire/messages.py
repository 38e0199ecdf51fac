"""
Messages from clients, decoded and checked; and commands to clients, encoded.

Knows nothing of frames, connections or who is in which room.
"""

import unicodedata
from collections.abc import Iterable

import msgspec

from shared.game.changes import CellChanged, Change
from shared.game.snake import DIRECTIONS
from shared.wire.errors import ClientError

MAX_NAME_LENGTH = 15


class NewPlayer(msgspec.Struct, frozen=True, gc=False):
    """``["new_player", name]``, the name already cleaned."""

    name: str


class JoinRequest(msgspec.Struct, frozen=True, gc=False):
    """``["join"]``."""


class Key(msgspec.Struct, frozen=True, gc=False):
    """A bare key code of an arrow key."""

    code: int


class Ping(msgspec.Struct, frozen=True, gc=False):
    """``["ping", t]``, to be answered at once."""

    t: int | float


class Ignored(msgspec.Struct, frozen=True, gc=False):
    """A bare integer that is no arrow key: snakepit's page sends every key."""


ClientMessage = NewPlayer | JoinRequest | Key | Ping | Ignored


class Tick(Change, frozen=True, array_like=True, gc=False, tag="tick"):
    """The first command of a tick frame; times in microseconds since the Unix epoch."""

    n: int
    due_us: int
    sent_us: int


class Handshake(Change, frozen=True, array_like=True, gc=False, tag="handshake"):
    """The first command a player gets."""

    name: str
    player_id: int


class Pong(Change, frozen=True, array_like=True, gc=False, tag="pong"):
    """The answer to ``ping``."""

    t: int | float
    server_us: int


class ErrorText(Change, frozen=True, array_like=True, gc=False, tag="error"):
    """Why something was refused."""

    text: str


class Pad(Change, frozen=True, array_like=True, gc=False, tag="pad"):
    """Makes a frame larger and means nothing."""

    text: str


def decode_client_message(text: str) -> ClientMessage:
    """
    Decode one text message.

    Raises:
        ClientError: it is not JSON, no known command, or has wrong arguments.

    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise ClientError("not JSON") from exc
    match value:
        case bool():  # a bool is an int in Python, but no key code in JSON
            raise ClientError("unknown command")
        case int():
            return Key(value) if value in DIRECTIONS else Ignored()
        case ["new_player", str(name)]:
            return NewPlayer(clean_name(name))
        case ["join"]:
            return JoinRequest()
        case ["ping", int() | float() as t] if not isinstance(t, bool):
            return Ping(t)
        case ["new_player" | "join" | "ping" as command, *_]:
            raise ClientError(f"wrong arguments for {command}")
    raise ClientError("unknown command")


def clean_name(name: str) -> str:
    """
    Take out control characters and trim white space.

    Raises:
        ClientError: 1 to 15 characters are not what is left.

    """
    # Lone surrogates never get here: they can't be decoded from JSON.
    cleaned = "".join(char for char in name if unicodedata.category(char) != "Cc").strip()
    if not 1 <= len(cleaned) <= MAX_NAME_LENGTH:
        raise ClientError(f"a name has 1 to {MAX_NAME_LENGTH} characters")
    return cleaned


_encode = msgspec.json.Encoder().encode


def encode_commands(commands: Iterable[Change]) -> bytes:
    """Encode commands as one JSON array, without white space."""
    return _encode(list(commands))


def join_arrays(*arrays: bytes) -> bytes:
    """Concatenate encoded JSON arrays into one."""
    return b"[" + b",".join(array[1:-1] for array in arrays if len(array) > 2) + b"]"  # b"[]" has two


def encode_world(cells: Iterable[CellChanged], width: int, height: int) -> bytes:
    """
    Encode ``[["world", rows]]`` from the cells that are not empty.

    Rows without such a cell cost one reference each, so a large field is quick to encode while it is young.
    """
    empty = b'[" ",0]'
    empty_row = b"[" + b",".join([empty] * width) + b"]"
    rows = [empty_row] * height
    taken: dict[int, list[bytes]] = {}
    for cell in cells:
        if cell.y not in taken:
            taken[cell.y] = [empty] * width
        taken[cell.y][cell.x] = _encode((cell.char, cell.color))
    for y, row in taken.items():
        rows[y] = b"[" + b",".join(row) + b"]"
    return b'[["world",[' + b",".join(rows) + b"]]]"
