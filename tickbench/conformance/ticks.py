"""
Judge a sequence of ticks: n, due times, times of sending.

Each function whose name ends in ``flaw`` returns what is wrong in a sentence, or None.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from tickbench.conformance.verdict import quote

LINE_TOLERANCE_US = 2
"""How far a due time may lie off a straight line through all of them: each is a whole number of microseconds."""
EARLY_TOLERANCE_US = 2_000
"""How long before its sent_us a frame may arrive: a host's wall clock is slewed, a server's offset is not."""
FAR_US = 1_000_000
"""How far sent_us may lie from the arrival on the same host; between two hosts, more is worth a note."""
NO_CLOCK_US = 60_000_000
"""The same between two hosts: what is further off is no clock."""


class SeenTick(NamedTuple):
    """A tick command that came."""

    n: int
    due_us: int
    sent_us: int
    at_us: int
    """When it came, on what should be the server's clock; 0 where that was not looked at."""
    text: str = ""
    """The whole message."""

    def __str__(self) -> str:
        return f'["tick",{self.n},{self.due_us},{self.sent_us}]'


def numbers_flaw(ticks: Sequence[SeenTick]) -> str | None:
    """Say where n does not grow."""
    return next((f"{after} came behind {before}" for before, after in pairwise(ticks) if after.n <= before.n), None)


def jump_flaw(ticks: Sequence[SeenTick]) -> str | None:
    """Say where n grew by more than the periods that went by, as the due times state them."""
    steps = [after.due_us - before.due_us for before, after in pairwise(ticks) if after.n == before.n + 1]
    if not steps:
        return None
    period_us = sorted(steps)[len(steps) // 2]
    for before, after in pairwise(ticks):
        periods = (after.due_us - before.due_us) / max(1, period_us)
        if after.n - before.n > periods + 0.5:
            return f"{after} came behind {before}, {periods:.1f} periods later"
    return None


def is_seldom(ticks: Sequence[SeenTick]) -> bool:
    """Whether most ticks that were not late had no frame for the due time after them."""
    rate_hz = rate_of(ticks)
    gaps = [before for before, after in pairwise(ticks) if after.n > before.n + 1]
    idle = [tick for tick in gaps if rate_hz and tick.sent_us - tick.due_us < 1e6 / rate_hz]
    return 2 * len(idle) > len(ticks)


def skips(ticks: Sequence[SeenTick]) -> str | None:
    """Say for how many due times no tick came."""
    skipped = sum(after.n - before.n - 1 for before, after in pairwise(ticks))
    return f"{skipped} of {ticks[-1].n - ticks[0].n + 1} due times were skipped" if skipped > 0 else None


def grid_flaw(ticks: Sequence[SeenTick], told_rate_hz: Fraction | None) -> str | None:
    """Say which due time is not on the grid of periods: of the rate that the server told, else of their own."""
    rate_hz, tolerance_us = (told_rate_hz, 0) if told_rate_hz else (rate_of(ticks), LINE_TOLERANCE_US)
    if rate_hz is None:
        return None
    first = ticks[0]
    t0_us = first.due_us - first.n * 1_000_000 // rate_hz
    for tick in ticks:
        off_us = tick.due_us - (t0_us + tick.n * 1_000_000 // rate_hz)
        if abs(off_us) > tolerance_us:
            return f"{tick}: due_us is {off_us} us off the grid of {float(rate_hz):g} Hz that {first} is on"
    return None


def rate_of(ticks: Sequence[SeenTick]) -> Fraction | None:
    """Return the rate that due times and n state, None if they state none."""
    first, last = ticks[0], ticks[-1]
    if last.n <= first.n or last.due_us <= first.due_us:
        return None
    return Fraction(1_000_000 * (last.n - first.n), last.due_us - first.due_us)


def sent_flaw(ticks: Iterable[SeenTick]) -> str | None:
    """Say which frame was built before it was due."""
    early = next((tick for tick in ticks if tick.sent_us < tick.due_us), None)
    return early and f"{early}: sent_us is {early.due_us - early.sent_us} us before due_us"


def arrival_flaw(ticks: Sequence[SeenTick], *, same_host: bool) -> str | None:
    """Say which frame's sent_us is impossible, given when it came."""
    nearest = min(ticks, key=lambda tick: tick.at_us - tick.sent_us)
    ahead_us = nearest.sent_us - nearest.at_us
    limit_us = FAR_US if same_host else NO_CLOCK_US
    if -ahead_us > limit_us:
        return f"{nearest}: sent_us is {-ahead_us / 1e6:.3f} s before it came, and no other frame states it better"
    if ahead_us > (EARLY_TOLERANCE_US if same_host else NO_CLOCK_US):
        return f"{nearest}: sent_us is {ahead_us / 1e6:.6f} s after it came"
    return None


def arrival_note(ticks: Sequence[SeenTick]) -> str | None:
    """Say if the clocks of two hosts are far apart."""
    apart_us = min(tick.at_us - tick.sent_us for tick in ticks)
    if abs(apart_us) <= FAR_US:
        return None
    return f"the server's clock and this host's are {apart_us / 1e6:.1f} s apart; the load test estimates that"


def bytes_flaw(ours: Sequence[SeenTick], theirs: Sequence[SeenTick]) -> str | None:
    """Say of which tick two connections got different bytes, or that none came to both."""
    pairs = [(tick, [other for other in theirs if other.n == tick.n]) for tick in ours]
    if not any(others for _, others in pairs):
        return f"no tick came to both: {ours[0]}, {theirs[0] if theirs else 'nothing'}"
    for tick, others in pairs:
        if others and all(other.text != tick.text for other in others):
            return f"{quote(tick.text)} and {quote(others[0].text)}"
    return None
