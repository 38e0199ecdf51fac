"""A load that is measured in slots, and stands still in between: what was planted comes back, and no pause does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import gevent
import pytest
from msgspec.structs import replace as replaced

from loadtests.receive.stamps import now_us
from loadtests.run.conductor import FAILED, RunOutcome
from loadtests.run.orders import OrderError, OrderLines
from loadtests.run.slot_conductor import SlotConductor
from loadtests.surroundings.cores import sample_machine
from loadtests.verdict.measured_run import ServerSample
from loadtests.verdict.slots import Slot
from shared.measure.histogram import Histogram
from shared.measure.orders import AnyOrder, DropOrder, Dropped, SlotOrder, SumOrder, WarmOrder
from shared.measure.summary import FOR_ANOTHER, read_summary
from tests.loadtests.account.test_planted_counts import Truth, counted, truth_of
from tests.loadtests.conftest import PATIENCE_S, PlantedRun, in_slots, load_planted_in_slots, planted
from tests.loadtests.run.test_conductor import Screen, Workers
from tests.loadtests.run.test_run import LONGEST_DRAIN_US
from tests.loadtests.run.test_worker import OPTIONS, SERVER
from tests.loadtests.verdict.test_summary import run as measured_run
from tests.support.planted_law import Law

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.account.room_ticks import ServerSkips
    from loadtests.run.messages import WorkerReport
    from loadtests.verdict.measured_run import MeasuredRun
    from tests.support.planted_record import Send

USERS, SLOTS, SLOT_S, PAUSE_S = 20, 2, 0.6, 1.0
LAW = Law(
    tick_rate_hz=50, lateness={"kind": "two_peaks", "ms": [2, 12], "share": 0.3}, drop_every=31, skip_every=9,
    close_every=17, close_after=25, welcome=True, pongs=True, stats=True, stats_cores=False,
)  # fmt: skip
QUICK = Law(tick_rate_hz=100, stats=True)
"""Of 17 ticks that are thrown away in 0.2 s, as /stats tells their rate."""


def test_what_is_planted_comes_back_and_no_pause_does(tmp_path: Path) -> None:
    """The server stands still for a second between two slots, and misses 50 due times and their frames."""
    run = load_planted_in_slots(LAW, tmp_path, USERS, slots=SLOTS, slot_s=SLOT_S, pause_s=PAUSE_S)
    summary, frames, pause_ms = run.summary, run.summary.frames, 1000 * PAUSE_S

    truths = [truth_of(run.sends, run.meta, window) for window in run.windows]
    assert counted(run) == Truth(*(sum(getattr(truth, name) for truth in truths) for name in vars(Truth())))
    assert min(frames.missing, frames.skipped) > 0
    assert_lateness_is_true(run)
    assert frames.due == USERS * len(run.windows) * SLOT_S * LAW.tick_rate_hz

    assert summary.slots is not None
    assert (summary.slots.slot_s, summary.slots.made, summary.slots.kept) == (SLOT_S, SLOTS, len(run.slots))
    assert 17 / LAW.tick_rate_hz - 0.01 <= summary.slots.thrown_s < pause_ms / 1000
    assert summary.duration_s == pytest.approx(SLOT_S * len(run.windows))
    assert summary.longest_silence_ms is not None
    for longest_ms in (
        summary.interval_error_ms.max,
        summary.jitter_rfc3550_ms.max,
        summary.pdv_ms.max,
        summary.ping_rtt_ms.max,
        summary.generator.loop_lag_ms.max,
    ):
        assert longest_ms is not None
        assert longest_ms < pause_ms
    assert summary.ping_rtt_ms.count > 0

    # /stats is asked before the window and after it, and knows nothing of what the pause skipped.
    skips = [LAW.due_us(n) + run.meta.started_us for n in (*run.meta.skipped, *run.meta.overrun)]
    inside, around = (
        sum(
            any(window.start - before_us <= at_us < window.stop + behind_us for window in run.windows)
            for at_us in skips
        )
        for before_us, behind_us in ((0, 0), (150_000, 1_200_000))
    )
    assert summary.server.skipped_ticks is not None
    assert inside <= summary.server.skipped_ticks <= around

    connections = summary.connections
    closed = [end for end in run.meta.ends if end.how == "close"]
    assert (connections.requested, connections.connected, connections.closed_early) == (USERS, USERS, len(closed))
    assert len(closed) > 0


def assert_lateness_is_true(run: PlantedRun) -> None:
    """Check each percentile against the clock right before and right after each send, slot by slot."""
    by_connection: defaultdict[int, list[Send]] = defaultdict(list)
    for send in run.sends:
        by_connection[send.connection].append(send)
    lowest, highest = Histogram(), Histogram()
    for window in run.windows:
        started_us = run.meta.started_us
        first, end = ((at_us - started_us) * LAW.tick_rate_hz // 1_000_000 for at_us in (window.start, window.stop))
        due = {n: at_us for n in range(first - 1, end + 2) if (at_us := started_us + LAW.due_us(n)) in window}
        for sends, (n, due_us) in product(by_connection.values(), due.items()):
            # What did not come is as late as the next frame; without one, as the end of the slot.
            came = next((send for send in sends if send.n >= n), None)
            lowest.record((window.stop if came is None else came.before_us) - due_us)
            highest.record((window.stop + LONGEST_DRAIN_US if came is None else came.after_us) - due_us)
    measured, frames = Histogram.from_summary(run.summary.tick_lateness_ms), run.summary.frames
    assert measured.count == lowest.count == frames.due
    for percentile in (1, 50, 90, 99, 100):
        low, above = lowest.percentile_us(percentile), percentile + 100 * frames.coalesced / frames.received
        high = highest.percentile_us(above) if above <= 100 else 2**62
        assert low - max(100, low // 100) <= measured.percentile_us(percentile) <= high + max(100, high // 100)


# What else is ordered, and how it ends


def test_users_leave_and_come_again_and_no_figure_counts_who_is_gone(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with planted(QUICK, tmp_path) as server, in_slots(server, 0, "--users", 9, "--out", out) as run:
        run.hear()
        for users in (9, 4, 7, 2, 3):
            assert run.ask(order="users", number=users) == {"said": "users", "connected": users, "requested": users}
            assert run.ask(order="slot", seconds=0.3)["said"] == "slot"
            run.ask(order="sum")
            summary = read_summary(out.read_bytes())
            assert (summary.connections.requested, summary.connections.connected) == (users, users)
            assert summary.frames.due == users * 30
            assert summary.evidence["left_early"] == summary.evidence["not_started"] == 0
        run.order(order="end")
        run.generator.communicate(timeout=PATIENCE_S)
    assert run.generator.returncode in {0, 3}


def test_users_come_and_a_summary_is_of_the_slots_since_the_last(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with planted(QUICK, tmp_path) as server, in_slots(server, 0, "--users", 3, "--out", out) as run:
        assert run.hear() == {"said": "ready", "connected": 3, "requested": 3}
        for users in (3, 7):
            assert run.ask(order="users", number=users) == {"said": "users", "connected": users, "requested": users}
            assert run.ask(order="slot", seconds=0.3)["said"] == "slot"
            answer = run.ask(order="sum")
            summary = read_summary(out.read_bytes())
            assert answer == {"said": "sum", "status": 0 if summary.validity.ok else 3}
            assert (summary.connections.requested, summary.connections.connected) == (users, users)
            assert summary.frames.due == users * 30
            assert summary.slots is not None
            assert (summary.slots.made, summary.slots.beside) == (1, False)
        slot = run.ask(order="slot", seconds=0.1, beside=[os.getpid()])
        assert run.ask(order="drop") == {"said": "dropped"}
        assert run.ask(order="sum") == {"said": "sum", "status": 3}
        slots = read_summary(out.read_bytes()).slots
        assert slots is not None
        assert (slots.made, slots.kept, slots.beside) == (1, 0, True)
        assert (FOR_ANOTHER in slots.left_out) is not bool(slot["spoiled"])
        run.order(order="warm", seconds=60)
        run.generator.send_signal(signal.SIGTERM)
        _, stderr = run.generator.communicate(timeout=PATIENCE_S)
    assert run.generator.returncode == FAILED
    assert stderr.endswith("the run was broken off: nothing was written\n")


class StillWorkers(Workers):
    """They stand still when they are told to."""

    woke_us = 0
    ordered: tuple[int, range] | None = None
    """When they were last told to measure, and what."""

    def reports(self) -> list[WorkerReport]:
        return [replaced(report, settled=2, woke_us=self.woke_us, phase="settled") for report in super().reports()]

    def stand(self, *, still: bool) -> None:
        if not still:
            self.woke_us = now_us()

    def measure(self, start_us: int, end_us: int, *, last_counts: bool) -> None:  # noqa: ARG002 - as a worker's
        self.ordered = now_us(), range(start_us, end_us)

    def settle(self, skips: dict[str, ServerSkips]) -> None:  # noqa: ARG002 - as a worker's
        self.why = "enough"


class Conducted(NamedTuple):
    """What became of orders, and when what was done."""

    outcome: RunOutcome
    workers: StillWorkers
    asked_us: int
    """When the server was last asked for its /stats."""


def conducted(orders: str) -> Conducted:
    """Give orders, and wait for the end."""
    screen, (reading, writing), workers = Screen(), os.pipe(), StillWorkers()
    conductor = SlotConductor(screen, replace(OPTIONS, users=2), SERVER, cast("Any", workers), lambda _: None)
    conductor._orders = OrderLines(reading)
    asked_us: list[int] = []

    def sample() -> ServerSample:
        asked_us.append(now_us())
        return ServerSample(None, sample_machine())

    conductor._sample = sample  # type: ignore[method-assign]
    os.write(writing, orders.encode())
    os.close(writing)
    conductor.start()
    with gevent.Timeout(10):
        while not screen.outcomes:
            gevent.sleep(0.01)
    os.close(reading)
    (outcome,) = screen.outcomes
    return Conducted(outcome, workers, asked_us[0] if asked_us else 0)


def test_what_a_server_counts_itself_begins_when_it_has_run_for_a_while_too() -> None:
    """Its /stats: CPU a frame is made of them, and 17 ticks are to be over by the time the window opens."""
    found = conducted('{"order":"slot","seconds":0.1}\n')
    assert found.outcome.why == "enough"
    assert found.workers.ordered is not None
    ordered_us, window = found.workers.ordered
    assert window.start - found.workers.woke_us >= 845_000, "17 ticks, of 50 ms where it does not tell"
    assert found.asked_us - found.workers.woke_us >= 300_000
    assert 50_000 < window.start - ordered_us <= 100_000, "it is asked before the window, and not much before"


def test_what_was_thrown_away_is_what_the_worker_did_not_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    thrown_s: list[float] = []
    workers: Any = StillWorkers()
    workers.woke_us = 1_000_000
    conductor = SlotConductor(Screen(), OPTIONS, SERVER, workers, lambda _: None)
    measured = measured_run(window=range(1_730_000, 2_730_000))
    monkeypatch.setattr(conductor, "_measure", lambda *_, **__: measured)

    def take(run: MeasuredRun, thrown: float) -> Slot:
        thrown_s.append(thrown)
        return Slot(run, thrown, {}, None, None)

    monkeypatch.setattr(conductor._slots, "take", take)
    conductor._slot(1.0)
    assert thrown_s == [0.73]


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> tuple[SlotConductor, list[bool]]:
    """Return a conductor that measures nothing, and for each window whether the one before it counts."""
    counts: list[bool] = []
    workers: Any = StillWorkers()
    conductor = SlotConductor(Screen(), OPTIONS, SERVER, workers, lambda _: None)

    def measure(ahead_s: float, duration_s: float, *, last_counts: bool) -> MeasuredRun:  # noqa: ARG001 - as its own
        counts.append(last_counts)
        return measured_run(options=OPTIONS, server_cpu_s=3.0)

    monkeypatch.setattr(conductor, "_measure", measure)
    return conductor, counts


def test_a_slot_that_is_dropped_leaves_nothing_in_the_next(windows: tuple[SlotConductor, list[bool]]) -> None:
    conductor, counts = windows
    for order in (SlotOrder(1), DropOrder(), SlotOrder(1), SlotOrder(1), DropOrder(), DropOrder(), SlotOrder(1)):
        answer = conductor._obey(order)
        assert isinstance(answer, Dropped) is isinstance(order, DropOrder)
    assert counts == [True, False, True, False]
    figures = conductor._slots.joined().slots
    assert figures is not None
    assert (figures.made, figures.kept, figures.left_out) == (4, 2, {FOR_ANOTHER: 2})


@pytest.mark.parametrize("last", [WarmOrder(3), SumOrder()])
def test_only_a_slot_that_was_just_measured_is_dropped(
    windows: tuple[SlotConductor, list[bool]], last: AnyOrder
) -> None:
    """A later one has gone on from its estimates of jitter, and a summary is written."""
    conductor, _ = windows
    conductor._obey(SlotOrder(1))
    conductor._woke_s = time.monotonic() - 1
    conductor._obey(last)
    with pytest.raises(OrderError, match="no slot was measured last"):
        conductor._obey(DropOrder())


def test_to_drop_a_slot_nobody_has_to_run() -> None:
    assert conducted('{"order":"drop"}\n').workers.woke_us == 0


def test_who_runs_beside_a_slot_or_a_warm_up_belongs_there(
    windows: tuple[SlotConductor, list[bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    conductor, _ = windows
    taken: list[MeasuredRun] = []
    monkeypatch.setattr(conductor._slots, "warm_up", taken.append)
    conductor._woke_s = time.monotonic() - 1
    with subprocess.Popen([sys.executable, "-c", ""]) as over:
        pass
    conductor._obey(WarmOrder(2, [os.getpid(), over.pid]))
    conductor._obey(SlotOrder(1, [os.getpid()]))
    cores = os.sched_getaffinity(0)
    assert [run.beside for run in (*taken, conductor._slots.joined())] == [
        {os.getpid(): cores, over.pid: set()},
        {os.getpid(): cores},
    ]


@pytest.mark.parametrize(
    ("orders", "why"),
    [
        ("", "the orders on stdin ended before the order to end"),
        ('{"order":"slo', "the orders on stdin ended before the order to end"),
        ('{"order":"dance"}\n', "no order on stdin: '{\"order\":\"dance\"}' (Invalid value 'dance' - at `$.order`)"),
        ('{"order":"end"}\n', "no slot was ordered: nothing was measured"),
        ('{"order":"sum"}\n', "no slot was ordered: nothing was measured"),
        ('{"order":"drop"}\n', "no slot was measured last: there is none to leave out"),
        ('{"order":"users","number":1}\n', "1 users were ordered, and 1 of 2 have come: let all come"),
    ],
)
def test_orders_that_cannot_be_done_end_the_run_in_one_line(
    orders: str, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = conducted(orders).outcome
    assert (outcome.status, outcome.why) == (FAILED, why)
    said = capfd.readouterr()
    assert said.err == f"{why}\n"
    assert said.out == '{"said":"ready","connected":1,"requested":2}\n'
