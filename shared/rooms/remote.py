"""
The protocol between a server and the child process that has its games: requests and answers as bytes.

Each request is answered once, in order. A message is its length (four bytes, network order) and MessagePack. A game is
named by its room's index: a room that is opened again has another game, whatever is still asked of the last one.
"""

from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from shared.game.commands import Command
from shared.rooms.game import Game, GameSetup, Newcomer, Stepped

LENGTH_BYTES = 4
START_LIMIT_S = 20.0
"""The time that the child has to start, on a machine that is busy."""

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


class Look(msgspec.Struct, frozen=True, array_like=True, tag=True):
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


Request = Open | TakeStep | Welcome | Look | Forget
Answer = Text | Did | Failed

_requests = msgspec.msgpack.Decoder(Request)
_answers = msgspec.msgpack.Decoder(Answer)
_encode = msgspec.msgpack.Encoder().encode


class GameFailedError(Exception):
    """The rules of a game in another process raised; the message is its traceback."""


def encode_message(message: Request | Answer) -> bytes:
    """Return a message's bytes, its length first."""
    body = _encode(message)
    return len(body).to_bytes(LENGTH_BYTES) + body


def decode_request(body: bytes) -> Request:
    """Decode a request; msgspec.MsgspecError if it is none."""
    request: Request = _requests.decode(body)
    return request


def decode_answer(body: bytes) -> Answer:
    """Decode an answer; msgspec.MsgspecError if it is none."""
    answer: Answer = _answers.decode(body)
    return answer


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

    def answer(self, request: Request) -> Answer:
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
            case Look(game):
                return Text(self._games[game].look())
        return Text()


class Exchange:
    """The server's side: the requests that the child has not answered yet, and how long it has been silent."""

    def __init__(self) -> None:
        self._asked: deque[tuple[float, Callable[[Answer], None]]] = deque()
        self._answered_s: float | None = None
        self._reader = MessageReader()

    def ask(self, request: Request, callback: Callable[[Answer], None], now_s: float) -> bytes:
        """Return what is to be sent; ``callback`` gets the answer."""
        self._asked.append((now_s, callback))
        return encode_message(request)

    def take(self, data: bytes, now_s: float) -> None:
        """Take what arrived, and call back with the answers in it."""
        self._answered_s = now_s
        for body in self._reader.feed(data):
            _, callback = self._asked.popleft()
            callback(decode_answer(body))

    def is_silent(self, now_s: float, limit_s: float) -> bool:
        """Say whether an answer is due and none came for ``limit_s``; the first may take ``START_LIMIT_S`` longer."""
        if not self._asked:
            return False
        asked_s = self._asked[0][0]
        if self._answered_s is None:
            return now_s - asked_s > limit_s + START_LIMIT_S
        return now_s - max(asked_s, self._answered_s) > limit_s

    def end(self) -> None:
        """Drop the callbacks: no answer is waited for any more."""
        self._asked.clear()
