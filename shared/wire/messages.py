"""Decodes and checks the JSON messages of clients, and encodes the commands to them."""

import re
from collections.abc import Callable, Iterable

import msgspec

from shared.game.changes import CellChanged, Change
from shared.game.snake import DIRECTIONS
from shared.wire.errors import ClientError
from shared.wire.names import clean_name

MAX_NUMBER_LENGTH = 32
"""Characters of a number in a message: doubles and integers of 64 bits take up to 24."""
MAX_NAME_BYTES = 256
"""Of a name as JSON, with its quotes: 15 characters, each escaped as a pair of surrogates, take 182."""
MAX_BRACKETS = 64
"""Opened in a message, in its strings too: how deep a decoder goes into the others is the interpreter's own limit."""
_MAX_COMMAND_BYTES = 64
"""Of a command's name as JSON; each of its letters may be escaped."""
_INTEGERS = range(-(2**63), 2**64)
_INTEGER = re.compile("-?(?:0|[1-9][0-9]*+)")
_WHITE_SPACE = " \t\n\r"
"""As JSON has it (RFC 8259, section 2)."""


class NewPlayer(msgspec.Struct, frozen=True, gc=False):
    """``["new_player", name]``, the name already cleaned."""

    name: str


class JoinRequest(msgspec.Struct, frozen=True, gc=False):
    """``["join"]``."""


class Key(msgspec.Struct, frozen=True, gc=False):
    """The key code of an arrow key: a bare integer."""

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


class Announcement(Change, frozen=True, array_like=True, gc=False, tag="announcement"):
    """What the operator says to everybody in a room."""

    text: str


class Pad(Change, frozen=True, array_like=True, gc=False, tag="pad"):
    """Makes a frame larger and means nothing."""

    text: str


class _Array(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An array whose elements are checked and not decoded: each may be long, deep, or a number of 4,000 digits."""

    command: msgspec.Raw
    argument: msgspec.Raw = msgspec.Raw()  # what is missing is empty
    more: msgspec.Raw = msgspec.Raw()


_check = msgspec.json.Decoder(msgspec.Raw).decode
_decode_array = msgspec.json.Decoder(_Array).decode
_decode_string = msgspec.json.Decoder(str).decode
_decode_number: Callable[[bytes], int | float] = msgspec.json.Decoder(float | int).decode


def decode_client_message(text: str) -> ClientMessage:
    """
    Decode one text message, in a time that depends on its length alone: nothing is decoded before its length is known.

    Raises:
        ClientError: it is not JSON, no known command, or has wrong arguments.

    """
    text = text.strip(_WHITE_SPACE)
    _check_depth(text)
    if _INTEGER.fullmatch(text):
        return _key(text)
    try:
        if not text.startswith("["):
            _check(text)
            raise ClientError("unknown command")
        array = _decode_array(text)
    except msgspec.ValidationError as exc:  # it is empty
        raise ClientError("unknown command") from exc
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise ClientError("not JSON") from exc
    command, argument = bytes(array.command), bytes(array.argument)
    name = _decode_string(command) if command.startswith(b'"') and len(command) <= _MAX_COMMAND_BYTES else ""
    if bytes(array.more):
        argument = b"[]"  # which no command takes
    match name:
        case "new_player" if argument.startswith(b'"'):
            return NewPlayer(_name(argument))
        case "join" if not argument:
            return JoinRequest()
        case "ping" if argument[:1] in b"-0123456789" and argument:
            return Ping(_number(argument))
        case "new_player" | "join" | "ping":
            raise ClientError(f"wrong arguments for {name}")
    raise ClientError("unknown command")


def _check_depth(text: str) -> None:
    if len(text) > MAX_BRACKETS < text.count("[") + text.count("{"):
        raise ClientError(f"a message has at most {MAX_BRACKETS} brackets")


def _key(digits: str) -> Key | Ignored:
    if len(digits) > MAX_NUMBER_LENGTH or (code := int(digits)) not in _INTEGERS:
        raise ClientError("an integer has at most 64 bits")
    return Key(code) if code in DIRECTIONS else Ignored()


def _number(text: bytes) -> int | float:
    if len(text) > MAX_NUMBER_LENGTH:
        raise ClientError(f"a number has at most {MAX_NUMBER_LENGTH} characters")
    try:
        number = _decode_number(text)
    except msgspec.MsgspecError as exc:
        raise ClientError("no double holds this number") from exc
    if isinstance(number, int) and number not in _INTEGERS:
        raise ClientError("an integer has at most 64 bits")
    return number


def _name(text: bytes) -> str:
    if len(text) > MAX_NAME_BYTES:
        raise ClientError(f"a name has at most {MAX_NAME_BYTES} bytes as JSON")
    return clean_name(_decode_string(text))


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

    Rows without such a cell cost one reference each, so a large field is quick to encode while it is nearly empty.
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
