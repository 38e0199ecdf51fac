"""
What a bench of a backend is asked for and answers: one line of JSON each, over its stdin and stdout.

A bench times one block a line, so that blocks of several processes can take turns. Knows nothing of how a block is
timed, or of what its figures are compared with.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

W = TypeVar("W")


class FanoutBlock(msgspec.Struct, frozen=True, tag="fanout"):
    """Fan-outs of a frame with ``text_bytes`` of text, ``ticks`` by each of ``ways``, in turns tick by tick."""

    ways: list[str]
    ticks: int
    text_bytes: int


class ClockBlock(msgspec.Struct, frozen=True, tag="clock"):
    """
    Waits for due times at ``rate_hz``, ``ticks`` by each of ``ways``, in turns tick by tick.

    After each there is a fan-out of ``text_bytes`` to the first ``connections``, none if that is 0.
    """

    ways: list[str]
    ticks: int
    rate_hz: float
    connections: int
    text_bytes: int


class Timed(msgspec.Struct, frozen=True):
    """The answer, by way: microseconds a connection of each tick's fan-out; or how late each wait ended."""

    us: dict[str, list[float]]


class RulesBlock(msgspec.Struct, frozen=True):
    """Some games' steps: how long they took, how many living snakes they moved in all, and what one player got."""

    elapsed_ns: int
    snake_steps: int
    characters: int

    @property
    def us_per_snake(self) -> float:
        """Microseconds a living snake and step."""
        return self.elapsed_ns / 1000 / self.snake_steps


class RulesReport(msgspec.Struct, frozen=True, tag_field="schema", tag="tickbench.rules/1"):
    """What the bench of the rules writes: blocks by game, by the number of players."""

    python: str
    rules: dict[str, dict[str, list[RulesBlock]]]


Block = FanoutBlock | ClockBlock


def turns(ways: list[W], ticks: int) -> Iterator[W]:
    """Yield every way ``ticks`` times; the first of a round moves on by one."""
    for n in range(ticks):
        first = n % len(ways)
        yield from ways[first:] + ways[:first]


_decoder = msgspec.json.Decoder(FanoutBlock | ClockBlock)


def read_blocks(lines: Iterable[str]) -> Iterator[Block]:
    """Yield what is asked for, line by line."""
    for line in lines:
        yield _decoder.decode(line)


def one_line(message: Block | Timed) -> str:
    """Return a message as its line."""
    return msgspec.json.encode(message).decode() + "\n"


def read_timed(line: str) -> Timed:
    """
    Decode an answer.

    Raises:
        msgspec.MsgspecError: it is none.

    """
    return msgspec.json.decode(line, type=Timed)
