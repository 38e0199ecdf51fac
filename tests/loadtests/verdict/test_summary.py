"""What is made of the records of a run, and that everything in it is somewhere."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from loadtests.account.counts import MAIN, STALLED, Accounts
from loadtests.account.join_rate import JoinRate
from loadtests.account.returns import Returns
from loadtests.account.settling import RoomDueTimes, Unseen
from loadtests.account.worker_record import Figures, WorkerRecord
from loadtests.receive.endings import Fate
from loadtests.surroundings.core_lag import CoreGap
from loadtests.surroundings.cores import CoreTimes, MachineSample
from loadtests.verdict.joined import joined
from loadtests.verdict.measured_run import MeasuredRun, ServerSample
from loadtests.verdict.summary import summarise
from shared.measure.histogram import Histogram
from shared.measure.quota import Quota
from shared.measure.summary import ClockFigures, StepDigests
from tests.loadtests.run.test_worker import OPTIONS
from tests.loadtests.surroundings.test_server_stats import decoded, stats

WINDOW_US = range(1_000_000, 11_000_000)
GAME = replace(OPTIONS, scenario=replace(OPTIONS.scenario, path=None))


def accounts(*, requested: int = 10, connected: int = 10, received: int = 2000, missing: int = 0) -> Accounts:
    return Accounts(requested=requested, connected=connected, received=received, missing=missing)


def record(
    groups: dict[str, Accounts] | None = None, *, cpu_s: float = 1.0, boot_id: str = "b", cpus: tuple[int, ...] = (1,)
) -> WorkerRecord:
    return WorkerRecord(
        worker=0,
        pid=70,
        boot_id=boot_id,
        same_host=True,
        cpus=list(cpus),
        duration_s=10.0,
        before=machine(0.0, 0.0),
        after=machine(12.0, 2.4),
        own_cpu_s=1.2 * cpu_s,
        throttled=[],
        rss_bytes=1,
        clock_step_us=0,
        clock_uncertainty_us=0,
        rooms=["main"],
        unseen=Unseen({}, {}, {}),
        due_times={"main": RoomDueTimes(200, [], [])},
        period_us=50_000,
        join_rate=JoinRate(30, 1_000_000, 1_500_000),
        steps={3: 0xAB, 5: 0xCD},
        conflicting_steps=1,
        figures=Figures(cpu_s=cpu_s),
        groups={MAIN: accounts()} | (groups or {}),
        stages=[],
        stretches=[],
    )


def machine(at_s: float, busy_s: float, steal_s: float = 0.0, *, sees_all: bool = True) -> MachineSample:
    """
    Return a sample of two cores that were busy for so long by then, and that the hypervisor took for so long.

    Another process was as busy, on whichever core.

    """
    cores = dict.fromkeys((0, 1), CoreTimes(at_s - busy_s - steal_s, steal_s))
    return MachineSample(at_s, cores, {9: busy_s} if sees_all else None)


def run(*records: WorkerRecord, server_cpu_s: float = 2.4, **changes: Any) -> MeasuredRun:
    """Return a run of 10 s, for 12 s of which the server was watched, with core 0 busy for 3 s of them."""
    process = {"pid": 1, "rss_bytes": 1000, "cpus": [0]}
    known: dict[str, Any] = {
        "options": GAME,
        "window": WINDOW_US,
        "base": decoded(),
        "server_is_here": True,
        "server_pids": {1},
        "own_pids": {70},
        "server_throttled": [],
        "server_checks": 0,
        "gaps": [],
        "records": list(records) or [record()],
        "users": GAME.users,
        "lost_workers": [],
    }
    edges: dict[str, Any] = {
        "before": decoded(now_us=1_000_000, process=process | {"cpu_s": 1.0}),
        "after": decoded(now_us=13_000_000, process=process | {"cpu_s": 1.0 + server_cpu_s}),
        "open_before": 10,
        "open_after": 10,
        "opened": machine(0.0, 0.0),
        "closed": machine(12.0, 3.0),
    }
    edges |= {name: changes.pop(name) for name in edges if name in changes}
    known["opened"] = ServerSample(edges["before"], edges["opened"], edges["open_before"])
    known["closed"] = ServerSample(edges["after"], edges["closed"], edges["open_after"])
    return MeasuredRun(**(known | changes))


def test_every_connection_is_in_one_place() -> None:
    main = accounts(requested=10, connected=6)
    for fate in (Fate.REFUSED, Fate.REFUSED, Fate.TIMED_OUT, Fate.CLOSED_EARLY):
        main.count_end(fate, "so")
    of = summarise(run(record({MAIN: main}))).connections
    assert (of.refused, of.timed_out, of.closed_early, of.connecting) == (2, 1, 1, 1)
    assert of.requested == of.connected + of.refused + of.timed_out + of.connecting


def test_keys_that_nobody_pressed_took_no_time() -> None:
    assert summarise(run()).input_ms is not None


def test_what_became_of_those_who_were_cut_off() -> None:
    silence = Histogram()
    silence.record(1_500_000)
    of = Returns(cut=4, back=2, gone=1, silence=silence, tries_us=[0, 10, 1_000_010], rooms=["r0"])
    due_times = {
        "r0": RoomDueTimes(9, [3], []),
        "r0#2": RoomDueTimes(9, [], [4]),
        "r1": RoomDueTimes(9, [5], []),
        "r2": RoomDueTimes(9, [], [7]),
    }
    summary = summarise(run(msgspec.structs.replace(record(), returns=of, due_times=due_times), server_cpu_s=3.0))
    returns = summary.returns
    assert returns is not None
    assert (returns.cut, returns.back, returns.gone, returns.away) == (4, 2, 1, 1)
    assert (returns.silence_ms.max, returns.most_connects_per_second) == (1500, 2)
    assert (returns.rooms_spared, returns.rooms_spared_missed, returns.rooms_spared_skipped) == (2, 1, 1)
    words = "of 4 users 2 came back, 1 gone for good, 1 still trying at the end; silent for up to 1.50 s"
    assert f"users were cut off, which is counted for itself: {words}" in summary.validity.warnings
    assert summary.validity.ok
    assert returns.missing == 0
    assert summarise(run()).returns is None


# Who took the cores


def test_what_the_server_took_is_not_foreign() -> None:
    figures = summarise(run(server_cpu_s=3.0)).machine
    assert figures.foreign_cpu_percent == pytest.approx(0)
    figures = summarise(run(server_cpu_s=2.4)).machine
    assert figures.foreign_cpu_percent == pytest.approx(5)  # 0.6 s of 12


def test_what_workers_took_of_the_server_s_core_in_the_window_they_took_all_the_time() -> None:
    figures = summarise(run(record(cpu_s=0.5, cpus=(0, 1)), server_cpu_s=2.4)).machine
    assert figures.foreign_cpu_percent == pytest.approx(0)
    # Of their two cores together, 4 s in 10: 0.5 s theirs, 2 s the server's.
    assert figures.foreign_cpu_generator_percent == pytest.approx(100 * 1.5 / 20)


def test_a_worker_on_another_host_takes_nothing_of_the_server_s_core() -> None:
    figures = summarise(run(record(cpu_s=0.5, boot_id="another", cpus=(0,)), server_cpu_s=2.4)).machine
    assert figures.foreign_cpu_percent == pytest.approx(5)
    assert figures.foreign_cpu_generator_percent == pytest.approx(15)


def test_a_core_of_another_host_is_not_one_that_server_and_generator_share() -> None:
    assert summarise(run(record(cpus=(0, 1)))).evidence["shared_cpus"] == [0]
    elsewhere = summarise(run(record(boot_id="another", cpus=(0, 1))))
    assert elsewhere.evidence["shared_cpus"] == []
    assert not any("may run on the same cores" in warning for warning in elsewhere.validity.warnings)


def test_each_worker_says_where_it_ran_and_how_it_knew_the_server_s_clock() -> None:
    far = msgspec.structs.replace(
        record(boot_id="another"), worker=1, host="far", same_host=False, clock_uncertainty_us=230, clock_step_us=40
    )
    near = msgspec.structs.replace(record(), host="near")
    summary = summarise(run(near, far))
    assert [(part.host, part.clock) for part in summary.generator.parts] == [
        ("near", ClockFigures(source="same host", uncertainty_ms=0.0, step_ms=0.0)),
        ("far", ClockFigures(source="pings", uncertainty_ms=0.23, step_ms=0.04)),
    ]
    assert summary.clock == summary.generator.parts[1].clock, "the worst counts for all"
    assert [part.host for part in summarise(run(near, near)).generator.parts] == ["", ""], "one host needs no name"
    unknown = summarise(run(near, base=None, before=None, after=None)).generator.parts[0].clock
    assert unknown == ClockFigures(source="assumed", uncertainty_ms=None, step_ms=0.0)


def test_without_the_server_s_last_word_its_own_figures_are_not_known() -> None:
    summary = summarise(run(after=None))
    assert (summary.server.cpu_percent, summary.machine.foreign_cpu_percent) == (None, None)
    assert summary.machine.foreign_cpu_generator_percent == pytest.approx(10)
    assert any("did not answer GET /stats" in words for words in summary.validity.warnings)
    beside = summarise(run(record(cpus=(0, 1)), after=None)).machine
    assert beside.foreign_cpu_generator_percent is None


def test_what_the_hypervisor_took_is_known_without_the_server() -> None:
    summary = summarise(run(after=None, closed=machine(12.0, 3.0, steal_s=1.2)))
    assert summary.machine.steal_percent == pytest.approx(10)
    assert any("stole 10.0 %" in reason for reason in summary.validity.reasons)


def test_stats_that_came_late_are_those_of_the_rest() -> None:
    before = decoded(now_us=WINDOW_US.start + 1_500_000, process=stats()["process"] | {"cpu_s": 1.0})
    warnings = summarise(run(before=before)).validity.warnings
    assert any("only 1500 ms into the window" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("server_cpu_s", "foreign", "reasons", "warnings"),
    [(2.7, 2.5, 0, 0), (2.4, None, 0, 1), (1.9, None, 0, 1), (1.7, 10.8, 1, 0)],
)
@pytest.mark.parametrize("hidden", [{"server_pids": None}, {"closed": machine(12.0, 3.0, sees_all=False)}])
def test_what_may_be_the_server_s_own_is_not_called_foreign(
    server_cpu_s: float, foreign: float | None, reasons: int, warnings: int, hidden: dict[str, Any]
) -> None:
    """In a container: between what nobody is charged with and what only others can have taken, it is not known."""
    summary = summarise(run(server_cpu_s=server_cpu_s, **hidden))
    found = summary.machine.foreign_cpu_percent
    assert found is None if foreign is None else found == pytest.approx(foreign, abs=0.1)
    assert len([words for words in summary.validity.reasons if "other processes took" in words]) == reasons
    assert summary.validity.machine == summary.validity.reasons
    assert len([words for words in summary.validity.warnings if "took the server's core is not known" in words]) == (
        warnings
    )


# Who ran beside the run on purpose


def sample(at_s: float, **process_cpu_s: float) -> MachineSample:
    """Return a sample in which both cores were busy for 8 s of 12 by then, and what some processes took: p7=3.0."""
    used_s = {int(name[1:]): cpu_s for name, cpu_s in process_cpu_s.items()}
    return MachineSample(at_s, dict.fromkeys((0, 1), CoreTimes(at_s / 3, 0.0)), used_s)


STRANGER = {"opened": sample(0.0), "closed": sample(12.0, p1=2.4, p7=5.0, p8=4.0, p9=1.0)}


def beside(**changes: Any) -> MeasuredRun:
    """Return a run beside a server and a generator, of 5 and 4 s; another process took 1 s, and the run the rest."""
    of = msgspec.structs.replace(record(cpu_s=3.0), before=STRANGER["opened"], after=STRANGER["closed"])
    return run(of, **({"beside": {7: {0}, 8: {1}}} | STRANGER | changes))


def test_who_runs_beside_a_run_on_purpose_is_no_stranger_on_either_core() -> None:
    of = summarise(beside()).machine
    assert of.foreign_cpu_percent == pytest.approx(100 * 0.6 / 12), "busy for 8 s, 2.4 of it the server's, 5 of 7"
    assert of.foreign_cpu_generator_percent == pytest.approx(100 * 0.4 / 12), "8 s, 3.6 of it ours, 4 of 8"
    alone = summarise(beside(beside={})).machine
    assert alone.foreign_cpu_percent == pytest.approx(100 * 5.6 / 12)
    assert alone.foreign_cpu_generator_percent == pytest.approx(100 * 4.4 / 12)


@pytest.mark.parametrize("wherever", [{7: {0, 1}, 8: {0, 1}}, {7: set[int](), 8: set[int]()}])
def test_where_it_ran_if_that_is_not_certain_it_is_still_no_stranger(wherever: dict[int, set[int]]) -> None:
    of = summarise(beside(beside=wherever)).machine
    assert of.foreign_cpu_percent == pytest.approx(100 * 1 / 12), "all that another took, on whichever core"
    assert of.foreign_cpu_generator_percent == pytest.approx(100 * 1 / 12)


@pytest.mark.parametrize("hidden", [{"server_pids": None}, {"closed": replace(STRANGER["closed"], process_cpu_s=None)}])
def test_beside_others_what_strangers_took_is_not_known_where_not_all_can_be_told(hidden: dict[str, Any]) -> None:
    """All that is not the run's own may be theirs: no bound, and no reason."""
    summary = summarise(beside(**hidden))
    assert summary.machine.foreign_cpu_percent is None
    assert summary.validity.reasons == []
    (words,) = [words for words in summary.validity.warnings if "took the server's core" in words]
    assert words.startswith("whether others took the server's core is not known: others ran beside it on purpose")
    assert summary.evidence["taken_percent"] == 0
    lonely = summarise(beside(beside={}, **hidden))
    assert any("other processes took 46.7 %" in reason for reason in lonely.validity.reasons)


def test_slots_beside_others_are_joined_with_what_those_took() -> None:
    other = beside(beside={17: {0}, 8: {1}}, closed=sample(12.0, p1=2.4, p17=5.0, p8=4.0, p9=1.0))
    of = summarise(joined([beside(), other], other)).machine
    assert of.foreign_cpu_percent == pytest.approx(100 * 0.6 / 12)
    assert of.foreign_cpu_generator_percent == pytest.approx(100 * 0.4 / 12)


# Whom a quota held back


def test_what_a_quota_held_back_is_said_of_the_server_and_of_the_generator() -> None:
    mine = [Quota("/gen", 1.0, 2, 9_000), Quota("/pod", 1.5, 1, 400)]
    other = [Quota("/gen", 1.0, 2, 9_500)]
    records = [msgspec.structs.replace(record(), throttled=mine), msgspec.structs.replace(record(), throttled=other)]
    summary = summarise(run(*records, server_throttled=[Quota("/srv", 0.5, 27, 812_000)]))
    reason = summary.validity.reasons[0]
    assert (
        "held back the server for 812.0 ms in 27 periods (quota of 0.5 cores, group /srv); the generator for" in reason
    )
    assert reason in summary.validity.machine
    assert [(of.who, of.group, of.ms) for of in summary.machine.throttled] == [
        ("server", "/srv", 812.0),
        ("generator", "/pod", 0.4),
        ("generator", "/gen", 9.5),
    ]


def test_a_server_whose_process_is_not_to_be_seen_says_itself_what_held_it_back() -> None:
    before, after = (
        decoded(now_us=at_us, process=stats()["process"] | {"quotas": [msgspec.to_builtins(Quota("/", 0.5, n, ms))]})
        for at_us, n, ms in ((1_000_000, 3, 5000), (13_000_000, 5, 85_000))
    )
    summary = summarise(run(before=before, after=after, server_pids=None))
    assert any(
        "the server for 80.0 ms in 2 periods (quota of 0.5 cores, group /)" in of for of in summary.validity.machine
    )


# For whom the server skipped frames


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({}, "skipped 40 frames"),
        ({STALLED: accounts(received=0, missing=200)}, ""),
        ({STALLED: accounts(received=0, missing=200), MAIN: accounts(missing=3)}, "skipped 3 frames"),
        ({STALLED: accounts(received=0, missing=200), "leavers": accounts(missing=7)}, "skipped 7 frames"),
        ({STALLED: accounts(received=0, missing=200), MAIN: accounts(missing=99)}, "skipped 40 frames"),
    ],
)
def test_frames_that_are_skipped_for_those_who_stall_by_plan(groups: dict[str, Accounts], words: str) -> None:
    after = decoded(now_us=13_000_000, slow_skips=40, process=stats()["process"] | {"cpu_s": 3.4})
    reasons = [reason for reason in summarise(run(record(groups), after=after)).validity.reasons if "slow" in reason]
    assert len(reasons) == bool(words)
    assert all(words in reason for reason in reasons)


def test_ticks_that_were_lost_for_everybody_were_not_skipped_for_slow_consumers() -> None:
    groups = {STALLED: accounts(received=0, missing=200), MAIN: accounts(connected=10, missing=20)}
    after = decoded(now_us=13_000_000, slow_skips=40, process=stats()["process"] | {"cpu_s": 3.4})
    of = msgspec.structs.replace(record(groups), unseen=Unseen({}, {"main": 2}, {}))
    assert not any("slow" in reason for reason in summarise(run(of, after=after)).validity.reasons)


# What nobody saw


def test_without_stats_nobody_knows_why_a_due_time_was_no_tick() -> None:
    of = msgspec.structs.replace(record(), unseen=Unseen({"main": 6}, {}, {"main": 4}))
    summary = summarise(run(of, base=None, before=None, after=None))
    assert any("4 due times were no tick for anybody" in warning for warning in summary.validity.warnings)
    assert summary.server.skipped_ticks == 6


def test_a_window_in_which_no_tick_was_due_is_not_valid() -> None:
    silent = record({MAIN: accounts(received=0)})
    assert "no tick was due in the window: nothing was measured" in summarise(run(silent)).validity.reasons
    lost = record({MAIN: accounts(received=0, missing=5)})
    assert not any("nothing was measured" in reason for reason in summarise(run(lost)).validity.reasons)


def test_the_rush_and_the_steps_are_told() -> None:
    summary = summarise(run())
    assert summary.connections.rush_per_second == 60
    assert summary.steps == StepDigests(first_n=3, crc32="000000ab - 000000cd", conflicting=1)


@pytest.mark.parametrize(("scheduling", "outranks"), [("fifo", True), ("nice", True), ("normal", False)])
def test_whether_a_probe_came_before_the_server_is_known(scheduling: str, outranks: bool) -> None:
    gap = CoreGap(cpu=0, scheduling=scheduling, max_gap_us=30_000, lateness_ms=Histogram().summary(), cpu_s=0.0)
    assert summarise(run(gaps=[gap])).evidence["core_gap_outranks"] is outranks


@pytest.mark.parametrize(
    ("gaps_us", "percent"), [([], 0.0), ([24_000], 0.0), ([26_000], 1.0), ([26_000, 120_000], 4.0)]
)
def test_a_gap_of_the_server_s_core_touches_so_many_ticks_at_most(gaps_us: list[int], percent: float) -> None:
    lateness = Histogram()
    for us in (50, 90, *gaps_us):
        lateness.record(us)
    gap = CoreGap(0, "fifo", max(gaps_us, default=0), lateness.summary(), 0.01)
    assert summarise(run(gaps=[gap])).evidence["gapped_percent"] == percent


def test_the_room_that_fares_worst_is_not_lost_among_the_others() -> None:
    rooms = {"r1": RoomDueTimes(40, [], [], 400, 400), "r2": RoomDueTimes(38, [], [7, 8], 400, 300)}
    found = summarise(run(msgspec.structs.replace(record(), due_times={**rooms, "empty": RoomDueTimes(0, [], [])})))
    assert found.worst_room_in_time == 0.75
    assert summarise(run(msgspec.structs.replace(record(), due_times=rooms, period_us=0))).worst_room_in_time is None
