"""
The requests to the benches of the backends, their answers (a line of JSON each), and the report of the rules' bench.

A bench times one block of work for each line, so that blocks of several processes can take turns.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

W = TypeVar("W")


class FanoutBlock(msgspec.Struct, frozen=True, tag="fanout"):
    """Asks for fan-outs of a frame with ``text_bytes`` of text, ``ticks`` by each of ``ways``, which alternate."""

    ways: list[str]
    ticks: int
    text_bytes: int


class ClockBlock(msgspec.Struct, frozen=True, tag="clock"):
    """
    Asks for waits for due times at ``rate_hz``, ``ticks`` by each of ``ways``, which alternate.

    After each there is a fan-out of ``text_bytes`` to the first ``connections``, none if that is 0.
    """

    ways: list[str]
    ticks: int
    rate_hz: float
    connections: int
    text_bytes: int


class Timed(msgspec.Struct, frozen=True):
    """The answer, by way, in us: what each tick's fan-out took for each connection; or how late each wait ended."""

    us: dict[str, list[float]]


class RulesBlock(msgspec.Struct, frozen=True):
    """The steps of some games: how long they took, the living snakes summed over them, what one player received."""

    elapsed_ns: int
    snake_steps: int
    characters: int

    @property
    def us_per_snake(self) -> float:
        """Microseconds for each living snake and step."""
        return self.elapsed_ns / 1000 / self.snake_steps


class RulesReport(msgspec.Struct, frozen=True, tag_field="schema", tag="tickbench.rules/1"):
    """What :mod:`shared.bench` writes: blocks by number of players, then by game."""

    python: str
    rules: dict[str, dict[str, list[RulesBlock]]]


Block = FanoutBlock | ClockBlock


def turns(ways: list[W], ticks: int) -> Iterator[W]:
    """Yield every way ``ticks`` times, in rounds; each round begins with the next way."""
    for n in range(ticks):
        first = n % len(ways)
        yield from ways[first:] + ways[:first]


_decoder = msgspec.json.Decoder(FanoutBlock | ClockBlock)


def read_blocks(lines: Iterable[str]) -> Iterator[Block]:
    """Yield the requests, line by line."""
    for line in lines:
        yield _decoder.decode(line)


def one_line(message: Block | Timed) -> str:
    """Return a message as its line."""
    return msgspec.json.encode(message).decode() + "\n"


def read_timed(line: str) -> Timed:
    """
    Decode an answer.

    Raises:
        msgspec.MsgspecError: the line is none.

    """
    return msgspec.json.decode(line, type=Timed)
