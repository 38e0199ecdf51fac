"""
The differences that planted_backend.py makes: late in the tail only, or dearer in CPU time only.

Reads no clock and waits for nothing by itself, so that a test can show that each does what it says.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

SAMPLED = 8
"""One in so many frames is looked at: that costs little, and the frames of a tick are some 5 us apart."""
KEPT_TICKS = 200
LEAST_TICKS = 40
"""So many have to be known before any is delayed."""
ANEW_TICKS = 20
"""As often, in ticks, it is computed anew how late the tail is."""
FROM_PERCENTILE = 90
STEP_US = 50
"""Less is not worth a sleep."""

MOST_SPUN_US = 2_000
"""At a time; what is owed beyond that is spent the next time."""


class TailPlant:
    """
    Delays every frame that is later than nine in ten are, by ``percent`` of how late it is.

    A lateness x above the 90th percentile becomes x times 1 + percent / 100, within some 50 us, and all others stay: so
    the order stays, percentiles above the 90th grow by as much, and those below it do not. Where that is is known from
    the last ticks, as they were before the plant. ``sleep_us`` keeps the event loop and takes no CPU time. A tick that
    is late by more than ``period_us``, as the first one of a server that was stopped, is no part of it.
    """

    def __init__(
        self, percent: float, now_us: Callable[[], int], sleep_us: Callable[[float], None], period_us: int = 50_000
    ) -> None:
        self._share = percent / 100
        self._now_us = now_us
        self._sleep_us = sleep_us
        self._period_us = period_us
        self._known: deque[list[float]] = deque(maxlen=KEPT_TICKS)  # of each tick how late its frames were sent
        self._members = 0
        self._ticks = 0
        self._from_us: float | None = None  # None: not known yet
        self._overslept_us = 0.0  # on average: what sleeping takes longer than it is asked to

    def watch(self, audience: Any, text: bytes) -> "WatchedAudience":
        """Return an audience that delays the tick whose frame has this ``text``, as far as it is late."""
        due_us = int(text.split(b",", 3)[2])
        members = len(audience.members)
        if abs(members - self._members) > self._members / 10:
            self._members, self._from_us = members, None
            self._known.clear()
        return WatchedAudience(audience, self._look(due_us))

    def _look(self, due_us: int) -> Iterator[None]:
        """Be asked before every eighth frame."""
        late_us: list[float] = []  # without our delays
        delayed_us = 0.0
        if self._now_us() - due_us < self._period_us:
            self._count(late_us)
        while True:
            so_far_us = self._now_us() - due_us
            late_us.append(so_far_us - delayed_us)
            if self._from_us is not None and self._from_us < late_us[-1] < self._period_us:
                lacking_us = self._share * late_us[-1] - delayed_us
                if lacking_us >= STEP_US / 2:
                    delayed_us += self._delay(lacking_us + STEP_US / 4)
            yield

    def _delay(self, wanted_us: float) -> float:
        """Sleep; return how long that took."""
        began_us = self._now_us()
        self._sleep_us(max(0.0, wanted_us - self._overslept_us))
        took_us = self._now_us() - began_us
        self._overslept_us = max(0.0, self._overslept_us + 0.2 * (took_us - wanted_us))
        return took_us

    def _count(self, late_us: list[float]) -> None:
        """Keep what a tick is about to fill in, and find the tail anew now and then, before anything is sent."""
        self._ticks += 1
        if self._share and self._ticks % ANEW_TICKS == 0 and len(self._known) >= LEAST_TICKS:
            ordered = sorted(itertools.chain.from_iterable(self._known))
            self._from_us = ordered[len(ordered) * FROM_PERCENTILE // 100]
        self._known.append(late_us)


class WatchedAudience:
    """The members of a room, as a fan-out sees them; it looks at the clock on its way."""

    def __init__(self, audience: Any, look: Iterator[None]) -> None:
        self.members = audience.members
        self._audience = audience
        self._look = look

    def takers(self, first: int, last: int, frames: Any) -> Iterator[tuple[int, bytes]]:
        """Yield the descriptors of a slice, each with its frame."""
        takers = list(self._audience.takers(first, last, frames))
        for start in range(0, len(takers), SAMPLED):
            next(self._look)
            yield from takers[start : start + SAMPLED]


class CpuPlant:
    """
    Takes ``percent`` of the CPU time that the process has taken in addition, whenever :meth:`spend` is called.

    That is to be done between ticks, when nothing else is to be done: then no frame is later for it.
    """

    def __init__(self, percent: float, cpu_us: Callable[[], float]) -> None:
        self._percent = percent
        self._cpu_us = cpu_us
        self._seen_us = cpu_us()
        self._owed_us = 0.0

    def spend(self) -> None:
        """Spend what is owed, at most :data:`MOST_SPUN_US`."""
        began_us = self._cpu_us()
        self._owed_us += self._percent / 100 * (began_us - self._seen_us)
        until_us = began_us + min(self._owed_us, MOST_SPUN_US)
        while (now_us := self._cpu_us()) < until_us:
            pass
        self._owed_us -= now_us - began_us if self._owed_us > 0 else 0
        self._seen_us = now_us
