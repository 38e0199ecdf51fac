"""What a text says that does not begin as tick frames do."""

from typing import Any, Final, NamedTuple

import msgspec

from loadtests.receive.arrivals import ArrivedTick
from loadtests.receive.frames import PeerError

_HANDSHAKE: Final = b'[["handshake",'
_WELCOMES: Final = (_HANDSHAKE, b'[["world",')
"""Large, and nothing in them is measured: not decoded."""
_BAD_JSON: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_decode = msgspec.json.Decoder(list[list[Any]]).decode


class Entered(NamedTuple):
    """From now on all ticks will come."""


class Pong(NamedTuple):
    """A ping sent at ``sent_us`` was answered, by the server's clock at ``server_us``."""

    sent_us: int
    server_us: int


class Told(NamedTuple):
    """An ``error`` command."""

    why: str


def commands_of(text: bytes) -> ArrivedTick | Entered | Pong | Told | None:
    """
    Return what the first command of a text says; None if that is nothing to us.

    Raises:
        PeerError: it is no array of commands.

    """
    if text.startswith(_WELCOMES):
        return Entered() if text.startswith(_HANDSHAKE) else None
    try:
        commands = _decode(text)
    except _BAD_JSON as error:
        raise PeerError("a text that is no array of commands") from error
    match commands[0] if commands else []:
        case ["tick", int(n), int(due_us), int(sent_us)] if 0 <= n < 10**18 and max(abs(due_us), abs(sent_us)) < 10**18:
            return ArrivedTick(n, due_us, sent_us, len(text))
        case ["pong", int(sent_us), int(server_us)] if max(abs(sent_us), abs(server_us)) < 10**18:
            return Pong(sent_us, server_us)
        case ["error", str(why)]:
            return Told(why)
    return None
