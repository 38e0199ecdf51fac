"""
The protocol between a server and the child process that has its games: requests and answers as bytes.

Each request is answered once, in order. A message is its length (four bytes, network order) and MessagePack. A game is
named by its room's index: a room that is opened again has another game, whatever is still asked of the last one.
"""

from collections.abc import Callable, Iterator

import msgspec

from shared.game.commands import Command
from shared.rooms.game import Game, GameSetup, Newcomer, Stepped

LENGTH_BYTES = 4
READ_BYTES = 262_144
"""The most that is read of a stream at once."""


class Open(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Begin a game. Answered with an empty :class:`Text`."""

    game: int
    setup: GameSetup


class TakeStep(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Apply one step. Answered with a :class:`Did`."""

    game: int
    inputs: list[Command]


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Get what a newcomer is told. Answered with a :class:`Text`."""

    game: int
    newcomer: Newcomer


class LookAtField(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Get the whole field. Answered with a :class:`Text`."""

    game: int


class Forget(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Drop a game. Answered with an empty :class:`Text`."""

    game: int


class Text(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Encoded commands, or nothing."""

    commands: bytes = b""


class Did(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What a step did."""

    step: Stepped


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The rules raised, so that the game can't go on, or there is no such game; ``traceback`` says which."""

    traceback: str


GameRequest = Open | TakeStep | Welcome | LookAtField | Forget
GameAnswer = Text | Did | Failed

decode_request: Callable[[bytes], GameRequest] = msgspec.msgpack.Decoder(GameRequest).decode
decode_answer: Callable[[bytes], GameAnswer] = msgspec.msgpack.Decoder(GameAnswer).decode
"""Both raise msgspec.MsgspecError if the bytes are none."""
_encode = msgspec.msgpack.Encoder().encode


class GameFailedError(Exception):
    """The rules of a game in another process raised; the message is its traceback."""


def encode_message(message: GameRequest | GameAnswer) -> bytes:
    """Return a message's bytes, its length first."""
    body = _encode(message)
    return len(body).to_bytes(LENGTH_BYTES) + body


class MessageReader:
    """Cuts a stream of bytes into the bodies of messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what arrived; yield the bodies that are complete."""
        self._data += data
        while len(self._data) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(self._data[:LENGTH_BYTES])
            if len(self._data) < end:
                return
            body = bytes(self._data[LENGTH_BYTES:end])
            del self._data[:end]
            yield body


class Games:
    """The games of one process."""

    def __init__(self) -> None:
        self._games: dict[int, Game] = {}

    def answer(self, request: GameRequest) -> GameAnswer:
        """
        Do what is asked, and return the answer.

        Raises:
            Exception: the rules raised, or there is no such game.

        """
        match request:
            case Open(game, setup):
                self._games[game] = Game(setup)
            case Forget(game):
                self._games.pop(game, None)
            case TakeStep(game, inputs):
                return Did(self._games[game].step(inputs))
            case Welcome(game, newcomer):
                return Text(self._games[game].welcome(newcomer))
            case LookAtField(game):
                return Text(self._games[game].look())
        return Text()
