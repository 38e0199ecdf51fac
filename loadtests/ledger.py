"""What became of the connections of a run, in numbers and in words. Reads no clock, opens nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from loadtests.arrivals import ArrivalLog
from loadtests.witness import Fate
from shared.measure.histogram import Histogram

if TYPE_CHECKING:
    from loadtests.recorder import Recorder

NEVER_CONNECTED = (Fate.REFUSED, Fate.TIMED_OUT, Fate.OWN_LIMIT)


class Ledger:
    """The witness of all connections (:class:`~loadtests.witness.Witness`)."""

    def __init__(self, recorder: Recorder) -> None:
        self.log = ArrivalLog()
        self.connect = Histogram()
        self.ping_rtt = Histogram()
        self.connections = 0
        """How many have got their first tick frame."""
        self.fates: Counter[Fate] = Counter()
        self.reasons: dict[Fate, Counter[str]] = {fate: Counter() for fate in Fate}
        self.errors: Counter[str] = Counter()
        """The texts of ``error`` commands."""
        self.correction_us = 0
        """To be added to our clock to have the server's; kept up to date by the run."""
        self._recorder = recorder

    @property
    def settled(self) -> int:
        """How many connections have either got their first tick frame or come to an end before it."""
        return self.connections + sum(self.fates[fate] for fate in NEVER_CONNECTED)

    def connected(self, index: int, started_us: int, arrival_us: int) -> None:  # noqa: ARG002 - as the protocol has it
        """Count a first tick frame, and how long it took since connect(2)."""
        self.connections += 1
        self.connect.record(arrival_us - started_us)

    def ended(self, index: int, at_us: int, fate: Fate, why: str) -> None:
        """Count an end."""
        self.fates[fate] += 1
        self.reasons[fate][why] += 1
        self._recorder.end_connection(index, at_us + self.correction_us)

    def told(self, error: str) -> None:
        """Count an ``error`` command."""
        self.errors[error] += 1

    def ponged(self, rtt_us: int) -> None:
        """Count a round trip."""
        self.ping_rtt.record(rtt_us)

    def in_words(self, *fates: Fate) -> str:
        """Say why connections came to such ends, the most frequent reason first."""
        reasons = sum((self.reasons[fate] for fate in fates), Counter[str]())
        return ", ".join(f"{count} x {why}" for why, count in reasons.most_common(5))
