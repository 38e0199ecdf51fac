"""Slots are joined as if they had been adjacent, whatever happened between them."""

import random
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest
from msgspec import structs

from loadtests.account.counts import MAIN, Accounts
from loadtests.account.settling import RoomDueTimes, Unseen
from loadtests.account.worker_record import Figures, WorkerRecord
from loadtests.receive.endings import Fate
from loadtests.surroundings.core_lag import CoreGap
from loadtests.surroundings.cores import CoreTimes, MachineSample
from loadtests.surroundings.server_stats import ServerStats
from loadtests.verdict.joined import joined
from loadtests.verdict.measured_run import MeasuredRun, ServerSample
from loadtests.verdict.summary import summarise
from shared.measure.histogram import Histogram
from shared.measure.quota import Quota
from shared.measure.summary import SlotFigures
from tests.loadtests.account.test_worker_record import histogram
from tests.loadtests.surroundings.test_server_stats import decoded, stats
from tests.loadtests.verdict.test_summary import record as a_record
from tests.loadtests.verdict.test_summary import run

LEAD_US = 300_000


@dataclass(frozen=True)
class Doings:
    """
    What happened in a while: a slot, or the time between two.

    Seconds are eighths, which floating point adds exactly, and counters of a server's histogram exact up to 2 ms.
    """

    eighths: int
    late_us: tuple[int, ...] = ()
    missing: int = 0
    skipped: int = 0
    cpu_eighths: int = 0
    steal_eighths: int = 0
    throttled_us: int = 0
    lost: int = 0
    """Connections that the server closed."""

    @property
    def silence_us(self) -> int:
        return 1000 * (1 + len(self.late_us))


def some(rng: random.Random) -> Doings:
    late_us = tuple(rng.randint(1, 2000) for _ in range(rng.randint(0, 5)))
    return Doings(rng.randint(1, 16), late_us, *(rng.randint(0, 5) for _ in range(6)))


@dataclass
class Timeline:
    """A server, its machine and its connections, as they go on."""

    at_us: int = 1_000_000
    n: int = 0
    skipped: int = 0
    cpu_s: float = 0.0
    idle_s: float = 0.0
    steal_s: float = 0.0
    throttled_us: int = 0
    started: Histogram = field(default_factory=Histogram)
    connections: Accounts = field(default_factory=lambda: Accounts(requested=10, connected=10))

    def live(self, doing: Doings) -> None:
        self.at_us += doing.eighths * 125_000
        self.n += len(doing.late_us) + doing.skipped
        self.skipped += doing.skipped
        self.cpu_s += doing.cpu_eighths / 8
        self.idle_s += doing.eighths / 16
        self.steal_s += doing.steal_eighths / 8
        self.throttled_us += doing.throttled_us
        for us in doing.late_us:
            self.started.record(us)
        for _ in range(doing.lost):
            self.connections.count_end(Fate.CLOSED_EARLY, "close 1001")

    def told(self) -> ServerStats:
        quota = Quota("/pod", 0.5, self.throttled_us, self.throttled_us)
        return decoded(
            now_us=self.at_us,
            rooms=[{"name": "main", "n": self.n, "skipped_ticks": self.skipped}],
            ticks=stats()["ticks"]
            | {
                "count": self.n - self.skipped,
                "skipped_ticks": self.skipped,
                "start_lateness_ms": msgspec.to_builtins(self.started.summary()),
            },
            frames_sent=10 * self.n,
            process={"pid": 1, "cpu_s": self.cpu_s, "rss_bytes": 1000, "cpus": [0]}
            | {"quotas": [msgspec.to_builtins(quota)]},
        )

    def seen(self) -> MachineSample:
        cores = {core: CoreTimes(self.idle_s, self.steal_s) for core in (0, 1)}
        return MachineSample(self.at_us / 1e6, cores, {9: self.cpu_s, 10: self.steal_s})

    def measured(self, *slot: Doings, last: Doings | None = None) -> MeasuredRun:
        """Live through a slot, or all of them in one piece, and return what was measured."""
        opened, before, start_us = self.told(), self.seen(), self.at_us + LEAD_US
        for doing in slot:
            self.live(doing)
        after, length_us = self.seen(), self.at_us + LEAD_US - start_us
        connections = structs.replace(Accounts(), **self.connections.of_connections())
        connections.ends, connections.fates = connections.ends.copy(), connections.fates.copy()
        return run(
            self._record(slot, before, after, connections, last or slot[-1]),
            window=range(start_us, start_us + length_us),
            before=opened,
            after=self.told(),
            opened=before,
            closed=after,
            gaps=[
                CoreGap(
                    0,
                    "fifo",
                    max(doing.silence_us for doing in slot),
                    histogram(*(us for doing in slot for us in doing.late_us)).summary(),
                    sum(doing.eighths for doing in slot) / 8,
                )
            ],
            server_throttled=throttled(slot),
        )

    def _record(
        self, slot: tuple[Doings, ...], before: MachineSample, after: MachineSample, connections: Accounts, last: Doings
    ) -> WorkerRecord:
        late_us = [us for doing in slot for us in doing.late_us]
        missing, skipped = (sum(getattr(doing, name) for doing in slot) for name in ("missing", "skipped"))
        counts: dict[str, Any] = {
            "received": len(late_us),
            "missing": missing,
            "skipped": skipped,
            "tick_lateness": histogram(*late_us),
            "pdv": histogram(*late_us),
            "jitter": histogram(*last.late_us),
            "longest_silence_us": max(doing.silence_us for doing in slot),
        }
        ticks, came = [len(doing.late_us) for doing in slot], len(late_us)
        due_times = RoomDueTimes(came, [n for n in ticks if n], [n + 100 for n in ticks], came + missing, came)
        return structs.replace(
            a_record(),
            duration_s=sum(doing.eighths for doing in slot) / 8,
            before=before,
            after=after,
            own_cpu_s=sum(doing.cpu_eighths for doing in slot) / 8,
            throttled=[Quota("/gen", 1.0, us, us) for us in [sum(doing.throttled_us for doing in slot)] if us],
            clock_step_us=skipped,
            unseen=Unseen(*({"main": skipped} if skipped else {} for _ in range(3))),
            due_times={"main": due_times},
            figures=Figures(ping_rtt=histogram(*late_us), lag=histogram(*late_us), cpu_s=float(missing)),
            groups={MAIN: structs.replace(connections, **counts)},
        )


def throttled(slot: tuple[Doings, ...]) -> list[Quota]:
    us = sum(doing.throttled_us for doing in slot)
    return [Quota("/srv", 0.5, us, us)] if us else []


def figures(of: MeasuredRun) -> Any:
    return msgspec.to_builtins(summarise(of))


@pytest.mark.parametrize("seed", range(12))
def test_adjacent_slots_make_the_run_that_they_were_cut_from(seed: int) -> None:
    rng = random.Random(seed)
    slots = [some(rng) for _ in range(1 + seed % 4)]
    cut, whole = Timeline(), Timeline()
    of_slots = [cut.measured(slot) for slot in slots]
    before = figures(of_slots[0])
    assert figures(joined(of_slots, of_slots[-1])) == figures(whole.measured(*slots))
    assert figures(of_slots[0]) == before, "they stay as they are"


@pytest.mark.parametrize("seed", range(8))
def test_what_happens_between_slots_is_in_no_figure(seed: int) -> None:
    rng = random.Random(seed)
    slots, between = [some(rng) for _ in range(2 + seed % 3)], some(rng)
    cut, whole = Timeline(), Timeline()
    of_slots = []
    for slot in slots:
        cut.live(replace(between, lost=0))
        of_slots.append(cut.measured(slot))
    whole.live(replace(between, lost=0))
    assert figures(joined(of_slots, of_slots[-1])) == figures(whole.measured(*slots))


@pytest.mark.parametrize("seed", range(4))
def test_of_a_slot_that_is_left_out_only_what_became_of_connections_counts(seed: int) -> None:
    """Wherever it was, and once."""
    rng = random.Random(seed)
    first, spoiled, last = (some(rng) for _ in range(3))
    for order in ((0, 1, 2), (1, 0, 2), (0, 2, 1)):
        timeline, alone = Timeline(), Timeline()
        slots = [(first, spoiled, last)[number] for number in order]
        of_slots = [timeline.measured(slot) for slot in slots]
        kept = [each for each, number in zip(of_slots, order, strict=True) if number != 1]
        found = figures(joined(kept, of_slots[-1]))
        expected = figures(
            joined([alone.measured(replace(doing, lost=0)) for doing in (first, last)], alone.measured(Doings(1)))
        )
        lost = first.lost + spoiled.lost + last.lost
        assert found["connections"]["closed_early"] == lost
        assert (found["connections"]["requested"], found["connections"]["connected"]) == (10, 10)
        for name in ("frames", "tick_lateness_ms", "server", "machine", "duration_s", "longest_silence_ms"):
            assert found[name] == expected[name], name


# What is not believed of a slot is not believed of the run


def changed(of: MeasuredRun, **changes: Any) -> MeasuredRun:
    assert of.closed.stats is not None
    return replace(of, closed=replace(of.closed, stats=structs.replace(of.closed.stats, **changes)))


SLOTS = [Doings(8, (100, 200), cpu_eighths=2), Doings(8, (300,), cpu_eighths=1), Doings(8, (50,), cpu_eighths=1)]


def three() -> list[MeasuredRun]:
    timeline = Timeline()
    return [timeline.measured(slot) for slot in SLOTS]


def test_a_count_that_went_back_in_one_slot_is_named() -> None:
    first, second, third = three()
    summary = summarise(joined([first, changed(second, frames_sent=3), third], third))
    assert any("frames_sent went back from 20 to 3" in words for words in summary.validity.warnings)
    assert summary.server.frames_sent is None


def test_a_server_that_was_started_anew_between_slots_is_named() -> None:
    first, second, third = three()
    assert second.closed.stats is not None
    another = structs.replace(second.closed.stats.process, pid=2)
    summary = summarise(joined([first, changed(second, process=another), third], third))
    assert any("another process answers" in words for words in summary.validity.warnings)
    assert summary.server.cpu_percent is None


def test_without_one_answer_the_sum_is_not_known() -> None:
    first, second, third = three()
    silent = replace(second, opened=ServerSample(None, second.opened.machine, why_none="timed out"))
    summary = summarise(joined([first, silent, third], third))
    assert summary.server.cpu_percent is None
    assert any("did not answer GET /stats (timed out)" in words for words in summary.validity.warnings)


def test_an_answer_that_came_late_in_any_slot_is_said() -> None:
    first, second, third = three()
    assert second.opened.stats is not None
    late = structs.replace(second.opened.stats, now_us=second.window.start + 40_000)
    summary = summarise(joined([first, replace(second, opened=replace(second.opened, stats=late)), third], third))
    assert any("only 40 ms into the window" in words for words in summary.validity.warnings)


def test_where_an_answer_came_late_the_server_s_cpu_and_frames_are_those_of_the_rest() -> None:
    """A server whose ticks fill its time answers when half of the slot is over: the other half is told of."""
    timeline, twin = Timeline(), Timeline()
    before, half, rest = Doings(8, (100, 200), cpu_eighths=2), Doings(4, (300,), cpu_eighths=3), Doings(4, (50, 60, 70))
    first = timeline.measured(before)
    second = timeline.measured(half, replace(rest, cpu_eighths=1))
    for doing in (before, half):
        twin.live(doing)
    late = replace(second, opened=replace(second.opened, stats=twin.told(), machine=twin.seen()))
    summary = summarise(joined([first, late], late))
    assert summary.server.frames_sent == 20 + 30
    assert summary.server.cpu_us_per_frame == pytest.approx((2 + 1) / 8 * 1e6 / 50)
    assert summary.server.ticks is not None
    assert summary.server.ticks.count == 2 + 3
    assert summary.frames.received == summary.tick_lateness_ms.count == 6, "arrivals are all there"


@pytest.mark.parametrize(
    ("warm_us", "first_us", "is_cold"),
    [(150, 100, False), (2000, 900, True), (900, 2000, False), (2000, 190, False)],
    ids=["warm", "cold", "turned back", "as of one slot and the next"],
)
def test_the_warm_up_is_compared_with_slots_of_two_seconds_together(warm_us: int, first_us: int, is_cold: bool) -> None:
    """However large, a difference alone is the machine's: it has to go on in the slots behind the first two."""
    timeline = Timeline()
    of_slots = [timeline.measured(Doings(8, (us,))) for us in (first_us, first_us, 190, 210, 190, 210)]
    whole = joined(of_slots, of_slots[-1], histogram(warm_us))
    assert [of.total_us for of in whole.records[0].stretches] == [warm_us, 2 * first_us, 400, 400]
    in_slots = replace(whole, slots=SlotFigures(slot_s=1, made=6, kept=6, thrown_s=0.85))
    assert any("warm-up was too short" in reason for reason in summarise(in_slots).validity.reasons) is is_cold
