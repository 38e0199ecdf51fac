"""
The orders of a run in slots, which come on stdin, and the answers to them, which go to stdout: one JSON object a line.

docs/measuring.md says what each means. Who gives them (``tickbench compare``) may stop this process between an answer
and the next order.
"""

import os
from typing import Annotated

import msgspec
from gevent import socket

MAX_LINE_BYTES = 64 * 1024
MAX_S = 3600.0
STDIN, STDOUT = 0, 1

Seconds = Annotated[float, msgspec.Meta(gt=0, le=MAX_S)]


class Order(msgspec.Struct, frozen=True, tag_field="order", forbid_unknown_fields=True):
    """What is to be done next."""


class WarmOrder(Order, frozen=True, tag="warm"):
    """Run for so long, and measure nothing."""

    seconds: Seconds


class SlotOrder(Order, frozen=True, tag="slot"):
    """Measure a slot of so many seconds."""

    seconds: Seconds


class UsersOrder(Order, frozen=True, tag="users"):
    """Bring the number of users up to so many."""

    number: Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class SumOrder(Order, frozen=True, tag="sum"):
    """Write the summary of the slots since the last one, and begin anew."""


class EndOrder(Order, frozen=True, tag="end"):
    """The same, and end."""


class Answer(msgspec.Struct, frozen=True, tag_field="said"):
    """What was done."""


class Ready(Answer, frozen=True, tag="ready"):
    """The ramp is over."""

    connected: int
    requested: int


class Warmed(Answer, frozen=True, tag="warm"):
    """It has run for so long."""


class SlotMeasured(Answer, frozen=True, tag="slot"):
    """A slot was measured."""

    number: int
    """From 1."""
    spoiled: list[str]
    """Why it is left out, in words: the machine spoiled it."""
    steal_percent: float | None
    core_gap_ms: float | None


class UsersUp(Answer, frozen=True, tag="users"):
    """So many connections were asked for, and so many got a tick frame."""

    connected: int
    requested: int


class Summed(Answer, frozen=True, tag="sum"):
    """The summary is written."""

    status: int
    """As the exit status would be: 0 or 3."""


AnyOrder = WarmOrder | SlotOrder | UsersOrder | SumOrder | EndOrder

_decoder: msgspec.json.Decoder[AnyOrder] = msgspec.json.Decoder(AnyOrder)


class OrderError(ValueError):
    """There is no such order, or none will come any more; the text says it in one line."""


class OrderLines:
    """Reads orders from a file descriptor while the hub goes on; nobody else may read from it."""

    def __init__(self, descriptor: int = STDIN) -> None:
        self._descriptor = descriptor
        self._begun = b""

    def next(self, wait_s: float) -> AnyOrder | None:
        """
        Return the next order; None if none has come after ``wait_s``.

        Raises:
            OrderError: it is none, or the end has come.

        """
        while b"\n" not in self._begun:
            try:
                socket.wait_read(self._descriptor, wait_s)
            except TimeoutError:
                return None
            data = os.read(self._descriptor, MAX_LINE_BYTES)
            if not data:
                raise OrderError("the orders on stdin ended before the order to end")
            self._begun += data
            if len(self._begun) > MAX_LINE_BYTES:
                raise OrderError(f"an order on stdin is longer than {MAX_LINE_BYTES} bytes")
        line, _, self._begun = self._begun.partition(b"\n")
        try:
            return _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise OrderError(f"no order on stdin: {line.decode(errors='replace')[:200]!r} ({error})") from error


def say(answer: Answer) -> None:
    """Write an answer to stdout; raises OSError where nobody reads it any more."""
    os.write(STDOUT, msgspec.json.encode(answer) + b"\n")  # at once: what is left in a buffer would fail again at exit
