"""
What a load run in slots is told to do, and what it answers: one JSON object a line.

docs/measuring.md says what each means. Knows nothing of who writes and who reads them.
"""

from typing import Annotated

import msgspec

MAX_S = 3600.0

Seconds = Annotated[float, msgspec.Meta(gt=0, le=MAX_S)]
Pid = Annotated[int, msgspec.Meta(ge=1)]


class Order(msgspec.Struct, frozen=True, tag_field="order", forbid_unknown_fields=True, omit_defaults=True):
    """What is to be done next."""


class WarmOrder(Order, frozen=True, tag="warm"):
    """Run for so long, and measure nothing."""

    seconds: Seconds
    beside: list[Pid] = []
    """As that of a slot."""


class SlotOrder(Order, frozen=True, tag="slot"):
    """Measure a slot of so many seconds."""

    seconds: Seconds
    beside: list[Pid] = []
    """The processes that run at the same time on purpose: other arms' servers, generators and drift probes."""


class DropOrder(Order, frozen=True, tag="drop"):
    """Leave out the slot that was just measured: the machine spoiled it for another arm that ran at the same time."""


class UsersOrder(Order, frozen=True, tag="users"):
    """Bring the number of users up to so many, or down: then those who came last leave."""

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


class Dropped(Answer, frozen=True, tag="dropped"):
    """The slot is left out."""


class UsersUp(Answer, frozen=True, tag="users"):
    """Of the users that were asked for, and are there now, so many got a tick frame."""

    connected: int
    requested: int


class Summed(Answer, frozen=True, tag="sum"):
    """The summary is written."""

    status: int
    """As the exit status would be: 0 or 3."""


AnyOrder = WarmOrder | SlotOrder | DropOrder | UsersOrder | SumOrder | EndOrder
