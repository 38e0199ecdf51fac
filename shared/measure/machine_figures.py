"""What a load summary says of the cores that were measured on: the part ``machine`` of ``tickbench.load/1``."""

from typing import Literal

import msgspec

from shared.measure.histogram import HistogramSummary


class CoreGapFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a drift probe on one of the server's cores measured in the window."""

    cpu: int
    scheduling: str
    """``fifo``, ``nice`` or ``normal``."""
    max_gap_ms: float
    lateness_ms: HistogramSummary


class ThrottledFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How a quota of CPU time (of a control group, such as a container's) stopped its processes in the window."""

    who: Literal["server", "generator"]
    group: str
    cores: float | None
    """How many it is worth; None where the quota has been removed."""
    periods: int
    """In how many of the quota's periods the group was stopped."""
    ms: float
    """For how long, added up over the cores that it could have run on."""


class MachineFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The cores that were measured on: the greatest share over them; None where the system does not tell."""

    steal_percent: float | None = None
    foreign_cpu_percent: float | None = None
    """CPU of other processes on the server's cores."""
    foreign_cpu_generator_percent: float | None = None
    """The same on the generator's cores."""
    cpus_server: list[int] | None = None
    cpus_generator: list[int] | None = None
    core_gaps: list[CoreGapFigures] = []
    throttled: list[ThrottledFigures] = []
