"""A machine that cannot measure is found out soon, said in the first line, and costs a comparison nothing."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from loadtests.verdict.checks import REASONS
from loadtests.verdict.findings import Findings
from loadtests.verdict.validity import judge
from shared.measure.summary import Validity
from tests.loadtests.verdict.test_validity import QUIET
from tickbench.compare.orchestrator import run_all
from tickbench.compare.plan import PlannedRun, fixed_runs, most_repeats, next_run, place_of, time_left_s
from tickbench.compare.results import ResultFolder, read_results
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.suite import STOP_AFTER, CapacitySearch, Suite, load_suite
from tickbench.compare.unfit_machine import NO_ADVICE, quiet_wait_s, wait_s, why_unfit
from tickbench.machine.pinning import Pinning
from tickbench.machine.quiet import Quiet, wait_until_idle
from tickbench.report.build import build_report
from tickbench.report.terminal import ProgressDisplay, run_words

MakeRun = Callable[..., Run]
Tickbench = Callable[..., subprocess.CompletedProcess[str]]
BUSY, IDLE = Quiet(is_quiet=False, busy_percent=60, waited_s=20), Quiet(is_quiet=True, busy_percent=2, waited_s=0.3)
FOREIGN = "other processes took {:.1f} % of the server's core (limit 3 %)"
STOLEN = "the hypervisor stole {:.1f} % of a measured core (limit 5 %)"


@pytest.fixture
def suite(suite: Suite) -> Suite:
    return msgspec.structs.replace(suite, stop_after=STOP_AFTER)


@pytest.fixture
def make(make_run: MakeRun) -> Callable[..., Run]:
    """Make the run that was planned; reasons are the machine's."""

    def make(planned: PlannedRun, *reasons: str, **fields: Any) -> Run:
        run = make_run(
            planned.number,
            planned.arm.name,
            part=planned.part,
            block=planned.block,
            again=planned.again,
            attempt=planned.attempt,
            connections=planned.connections,
            **fields,
        )
        assert run.load is not None
        verdict = Validity.of(list(reasons), [], machine=reasons)
        return msgspec.structs.replace(run, load=msgspec.structs.replace(run.load, validity=verdict))

    return make


def story(suite: Suite, make: Callable[..., Run], spoiled: str) -> list[Run]:
    """Make a run for each letter: ``x`` is one that the machine spoiled."""
    runs: list[Run] = []
    for letter in spoiled:
        planned = next_run(RunIndex(suite, runs))
        assert planned is not None, f"nothing is left to make after {len(runs)} runs"
        runs.append(make(planned, *([FOREIGN.format(11)] if letter == "x" else [])))
    return runs


@pytest.mark.parametrize(
    ("spoiled", "unfit"),
    [("", False), ("xx", False), ("xxx", True), ("xx.x", False), (".xxx", True), ("xxxx", False), ("xxxxxx", True)],
)
def test_three_spoiled_runs_in_a_row_say_that_the_machine_cannot_measure(
    suite: Suite, make: Callable[..., Run], spoiled: str, unfit: bool
) -> None:
    assert RunIndex(suite, story(suite, make, spoiled)).is_unfit is unfit


def test_a_folder_of_before_goes_on_and_is_reported_as_it_was(
    suite: Suite, make: Callable[..., Run], suite_file: Callable[..., Path]
) -> None:
    before = msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(suite, stop_after=0)), type=Suite)
    runs = story(before, make, "xxx...")
    assert next_run(RunIndex(before, runs)) is None, "its first run has had its three attempts"
    assert load_suite("quick").stop_after == STOP_AFTER
    assert load_suite(str(suite_file("gevent"))).stop_after == STOP_AFTER
    assert load_suite(str(suite_file("gevent", more="stop_after = 0\n"))).stop_after == 0


def test_a_suite_that_makes_no_run_again_takes_them_as_they_come(suite: Suite, make: Callable[..., Run]) -> None:
    once = msgspec.structs.replace(suite, max_attempts=1)
    runs = story(once, make, "xxxx")
    assert not RunIndex(once, runs[:3]).is_unfit
    assert RunIndex(once, runs).waived == set()
    assert next_run(RunIndex(once, runs)) is None


def test_what_was_tried_while_it_could_not_is_made_again_as_if_it_had_not_been(
    suite: Suite, make: Callable[..., Run]
) -> None:
    runs = story(suite, make, "xxx")
    assert RunIndex(suite, runs).waived == {1, 2, 3}
    following = next_run(RunIndex(suite, runs))
    assert following is not None
    assert (following.key, following.number, following.attempt) == (runs[0].key, 4, 4)
    runs = story(suite, make, "xxxxx")
    assert {run.key for run in runs} == {runs[0].key}, "as many attempts as it has"
    assert story(suite, make, "xxx....")[-1].key == list(fixed_runs(suite))[-1].key


def test_a_search_goes_on_with_the_load_that_could_not_be_measured(suite: Suite, make: Callable[..., Run]) -> None:
    search = CapacitySearch("arena", "steady", 2, 1, "tick_lateness_ms.p99<=25", budget_s=100, start=100, limit=400)
    whole = msgspec.structs.replace(suite, searches=[search])
    runs = story(whole, make, "....xxx")
    assert [run.connections for run in runs[4:]] == [100] * 3
    following = next_run(RunIndex(whole, runs))
    assert following is not None
    assert (following.part, following.connections) == ("arena", 100)


def test_spoiled_runs_make_a_comparison_half_as_long_again_at_most(suite: Suite, make: Callable[..., Run]) -> None:
    suite = msgspec.structs.replace(suite, repeats=6)  # twelve runs
    runs: list[Run] = []
    while planned := next_run(RunIndex(suite, runs)):
        # Two of three first attempts are spoiled, and never three runs in a row.
        place = place_of(suite, planned)
        is_spoiled = planned.attempt == 1 and place is not None and place[0] % 3
        runs.append(make(planned, *([STOLEN.format(9)] if is_spoiled else [])))
    assert most_repeats(suite) == 6
    assert len(runs) == 12 + 6
    assert [run.attempt for run in runs[-3:]] == [1, 1, 1]


def test_a_short_comparison_stops_at_once_and_a_long_one_waits_a_bounded_time() -> None:
    assert wait_s(90) == 0
    assert wait_s(45 * 60) == 270
    assert wait_s(6 * 3600) == 600


def test_it_says_what_happened_in_how_many_runs_and_what_to_do(suite: Suite, make: Callable[..., Run]) -> None:
    planned = next_run(RunIndex(suite))
    assert planned is not None
    runs = [make(planned, FOREIGN.format(11.3)), make(planned, FOREIGN.format(12.9)), make(planned)]
    unfit = why_unfit(runs)
    assert unfit is not None
    assert unfit.happened == "other processes took up to 12.9 % of the server's core (limit 3 %) in 2 of 3 runs"
    assert unfit.advice.startswith("End what else runs on core 0 (")
    both = why_unfit([make(planned, STOLEN.format(7), FOREIGN.format(9)), make(planned, FOREIGN.format(9))])
    assert both is not None
    assert both.happened.endswith(
        "in 2 of 2 runs; the hypervisor stole 7.0 % of a measured core (limit 5 %) in 1 of 2 runs"
    )
    assert both.advice == unfit.advice, "about what there was most often"
    stolen = why_unfit([make(planned, STOLEN.format(7))])
    assert stolen is not None
    assert stolen.advice.startswith("Use a quieter host")
    new = why_unfit([make(planned, "a reason that nobody has thought of")])
    assert new is not None
    assert "tickbench doctor" in new.advice
    assert why_unfit(runs[2:]) is None


@pytest.mark.parametrize(
    "findings",
    [
        replace(QUIET, throttled="the server for 3.0 s"),
        replace(QUIET, steal_percent=11.0),
        replace(QUIET, core_gap_ms=40.0),
        replace(QUIET, foreign_server_percent=11.0),
        replace(QUIET, clock_step_us=5_000),
    ],
)
def test_there_is_advice_for_each_reason_of_the_machine(
    suite: Suite, make: Callable[..., Run], findings: Findings
) -> None:
    (reason,) = judge(findings).machine
    planned = next_run(RunIndex(suite))
    assert planned is not None
    unfit = why_unfit([make(planned, reason)])
    assert unfit is not None
    assert unfit.advice != NO_ADVICE
    by_machine = {check.name: check.in_short for check in REASONS if check.effect.at_fault == "machine"}
    assert by_machine.pop("slots_spoiled") == "", "of these the reasons against the slots are told"
    assert len(by_machine) == 5, "a new reason: give it advice"
    for in_short in by_machine.values():
        unfit = why_unfit([make(planned, in_short)])
        assert unfit is not None
        assert unfit.advice != NO_ADVICE


def test_whoever_waited_for_quiet_in_vain_waits_half_as_long_the_next_time(
    suite: Suite, make: Callable[..., Run]
) -> None:
    patient = msgspec.structs.replace(suite, quiet_wait_s=20)
    runs = story(patient, make, "...")
    waits = [
        quiet_wait_s(
            RunIndex(
                patient, [msgspec.structs.replace(run, quiet=quiet) for run, quiet in zip(runs, quiets, strict=False)]
            )
        )
        for quiets in ([], [BUSY], [BUSY, BUSY], [BUSY, IDLE], [None])
    ]
    assert waits == [20, 10, 5, 20, 20]


class Listener:
    """Hears what becomes of a comparison."""

    def __init__(self) -> None:
        self.waited: list[float] = []
        self.made = 0

    def run_began(self, planned: PlannedRun) -> None: ...

    def block_began(self, planned: Sequence[PlannedRun]) -> None: ...

    def run_is_at(self, words: str) -> None: ...

    def run_ended(self, *runs: Run) -> None:
        self.made += len(runs)

    def waits(self, most_s: float) -> None:
        self.waited.append(most_s)


@pytest.mark.parametrize(
    ("repeats", "spoiled", "gets_idle", "made", "waits"),
    [
        (2, "x" * 9, True, 3, 0),  # so short that it is soon made anew
        (60, "x" * 9, True, 6, 1),  # waited for, and no better
        (60, "x" * 9, False, 3, 1),  # waited for in vain
        (60, "xxx.xxx", True, 126, 2),  # two bad minutes
        (2, "xx", True, 6, 0),
    ],
)
def test_one_bad_minute_does_not_end_a_long_comparison(
    suite: Suite,
    make: Callable[..., Run],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    repeats: int,
    spoiled: str,
    gets_idle: bool,
    made: int,
    waits: int,
) -> None:
    suite = msgspec.structs.replace(suite, repeats=min(repeats, 100))
    letters = iter(spoiled)

    class FakeTrial:
        def __init__(self, *_: Any) -> None: ...

        def measured_cores(self) -> None:
            return None

        def run(self, planned: PlannedRun, _: float) -> Run:
            return make(planned, *([FOREIGN.format(11)] if next(letters, ".") == "x" else []))

    monkeypatch.setattr("tickbench.compare.orchestrator.Trial", FakeTrial)
    monkeypatch.setattr("tickbench.compare.orchestrator.wait_until_idle", lambda *_: gets_idle)
    monkeypatch.setattr(ResultFolder, "write_run", lambda *_: None)
    listener = Listener()
    is_whole = run_all(RunIndex(suite), Pinning(None, None), ResultFolder(folder), Any, listener)  # type: ignore[arg-type]
    assert (listener.made, len(listener.waited)) == (made, waits)
    assert is_whole is (made > 2 * repeats)


def test_a_machine_is_waited_for_until_others_leave_its_cores_alone() -> None:
    looks = iter([60.0, 4.0, 2.0])
    told: list[str] = []
    assert wait_until_idle([0, 1], 100, told.append, lambda *_: next(looks))
    assert len(told) == 2
    assert "waiting for a machine that can measure, 100 s more at most: a core is 60 % busy" in told[0]
    assert not wait_until_idle([0, 1], 0, told.append, lambda *_: 0.0)


def test_progress_says_which_run_of_how_many_at_which_attempt(suite: Suite, make: Callable[..., Run]) -> None:
    runs = story(suite, make, ".x")
    planned = next_run(RunIndex(suite, runs))
    assert planned is not None
    assert run_words(suite, planned) == f"run 2 of 4, attempt 2 of 3: block 1, {planned.arm.name}, 300"
    assert place_of(suite, planned) == (2, 4)
    search = CapacitySearch("arena", "steady", 2, 1, "tick_lateness_ms.p99<=25", budget_s=100, start=100, limit=400)
    probe = next_run(RunIndex(msgspec.structs.replace(suite, searches=[search]), story(suite, make, "....")))
    assert probe is not None
    assert run_words(suite, probe) == f"run 5, a search: arena, {probe.arm.name}, 100"


def test_the_time_left_is_told_by_what_runs_took_and_counts_what_is_made_again(
    suite: Suite, make: Callable[..., Run]
) -> None:
    a_run_s = time_left_s(RunIndex(suite)) / 4
    runs = story(suite, make, ".")
    at_pace = [msgspec.structs.replace(run, took_s=a_run_s) for run in runs]
    assert time_left_s(RunIndex(suite, at_pace)) == pytest.approx(3 * a_run_s)
    slow = [msgspec.structs.replace(run, took_s=2 * a_run_s) for run in runs]
    assert time_left_s(RunIndex(suite, slow)) == pytest.approx(6 * a_run_s)
    spoiled = [msgspec.structs.replace(run, took_s=a_run_s) for run in story(suite, make, "x")]
    assert time_left_s(RunIndex(suite, spoiled)) == pytest.approx(4 * a_run_s)
    assert time_left_s(RunIndex(suite, story(suite, make, "...."))) == 0


def test_where_no_progress_can_be_shown_each_run_s_line_says_how_long_it_takes(
    suite: Suite, make: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    display = ProgressDisplay(Console(width=300), RunIndex(suite))
    for run in story(suite, make, "...."):
        display.run_ended(run)
    *others, last = capsys.readouterr().out.splitlines()
    assert all("left" in line for line in others)
    assert others[0].endswith(" s left")
    assert "left" not in last


def test_spoiled_runs_are_dim_on_the_screen(suite: Suite, make: Callable[..., Run]) -> None:
    console = Console(force_terminal=True, width=200)
    display = ProgressDisplay(console, RunIndex(suite))
    with console.capture() as capture:
        for run in story(suite, make, "x."):
            display.run_ended(run)
    spoiled, valid = capture.get().splitlines()
    assert spoiled.startswith("\x1b[2m")
    assert not valid.startswith("\x1b")


def test_a_comparison_on_a_machine_that_cannot_measure_stops_and_goes_on_later(
    tickbench: Tickbench, suite_file: Callable[..., Path], tmp_path: Path
) -> None:
    suite = suite_file("asyncio", "gevent", scenario="stolen", repeats=3)
    suite.write_text(suite.read_text("utf-8").replace("max_attempts = 1", "max_attempts = 3"), "utf-8")
    done = tickbench("compare", "--suite", suite, "--out", tmp_path, "--slo", "reach>0", COLUMNS="400")
    assert done.returncode == 3, done.stdout + done.stderr
    announced, *runs, news = done.stdout.splitlines()[: 1 + STOP_AFTER + 1]
    assert announced.startswith("6 runs: ")
    assert all(line.startswith("run ") for line in runs)
    stolen = "the hypervisor stole 11.2 % of a measured core (limit 5 %) in 3 of 3 runs"
    assert news.startswith(f"Stopped, as this machine cannot measure now: {stolen}. Use a quieter host")
    assert "0 of 6 runs are valid" in news
    assert "objectives not judged:" in done.stdout
    assert f"go on with: tickbench compare --resume {(tmp_path / 'latest').resolve()}" in done.stdout
    for name in ("report.html", "report.md"):
        assert "Stopped, as this machine cannot measure now" in (tmp_path / "latest" / name).read_text("utf-8")
    resumed = tickbench("compare", "--resume", tmp_path / "latest")
    assert resumed.returncode == 3
    assert len(read_results(tmp_path / "latest").runs) == 2 * STOP_AFTER


def test_the_news_of_a_comparison_that_the_machine_spoiled_in_part_come_first(
    folder: Path, make_run: MakeRun, suite: Suite
) -> None:
    spoiled = make_run(2, "gevent", STOLEN.format(9))
    assert spoiled.load is not None
    verdict = msgspec.structs.replace(spoiled.load.validity, machine=spoiled.load.validity.reasons)
    load = msgspec.structs.replace(spoiled.load, validity=verdict)
    ResultFolder(folder).write_run(msgspec.structs.replace(spoiled, load=load), "gevent")
    news = build_report(folder).document.news
    stolen = "the hypervisor stole 9.0 % of a measured core (limit 5 %) in 1 of 2 runs"
    assert news.startswith(f"1 of 4 runs are valid: {stolen}. Use a quieter host")
    assert f"No verdict: the suite {suite.name} names no comparison" in news
