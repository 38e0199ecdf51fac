"""Blocks in slots, with the stand-ins for their children."""

import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from shared.measure.orders import AnyOrder, SlotMeasured, SlotOrder
from shared.measure.summary import SlotFigures
from tests.tickbench.fakes.tickbench_with_fakes import fake_load, fake_server
from tickbench.children.commands import Commands
from tickbench.children.processes import Child
from tickbench.compare import block
from tickbench.compare.block import run_block
from tickbench.compare.plan import PlannedRun, most_repeats, next_runs, time_left_s
from tickbench.compare.results import read_results
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.slot_order import slot_order
from tickbench.compare.standing_arm import Said, StandingArm
from tickbench.compare.suite import Suite, load_suite
from tickbench.compare.trial import Trial
from tickbench.compare.unfit_machine import quiet_wait_s, why_unfit
from tickbench.errors import RunFailedError
from tickbench.machine.pinning import Pinning
from tickbench.machine.quiet import Quiet
from tickbench.report.terminal import block_words, run_line

Tickbench = Callable[..., subprocess.CompletedProcess[str]]
WriteSuite = Callable[..., Path]
COMMANDS = Commands(server=fake_server, load=fake_load, check=None)
SLOTS = "slot_s = 0.05\n"
STOLEN = "the hypervisor stole # % of a measured core (limit # %)"


@pytest.fixture
def suite(suite: Suite) -> Suite:
    return msgspec.structs.replace(
        suite, arms=["asyncio", "gevent"], again="gevent", slot_s=0.02, duration_s=0.08, warm_up_s=0, server={}
    )


def made(
    suite: Suite, scenario: str = "steady", arms: Sequence[str] = ()
) -> tuple[list[PlannedRun], list[Run], list[str]]:
    """Make a block; return what was planned, the runs, and what was said meanwhile."""
    said: list[str] = []
    planned = next_runs(RunIndex(msgspec.structs.replace(suite, scenario=scenario, arms=list(arms) or suite.arms)))
    order = slot_order(len(planned), planned[0].slots, 1, suite.seed)
    return planned, run_block(planned, order, Trial(Pinning(None, None), COMMANDS, said.append), 0), said


def slots_of(runs: Sequence[Run]) -> list[tuple[int, int]]:
    return [(run.load.slots.made, run.load.slots.kept) for run in runs if run.load and run.load.slots]


def test_all_arms_of_a_block_have_their_slots_in_the_order_drawn(suite: Suite) -> None:
    planned, runs, said = made(suite)
    assert [(run.arm, run.again, run.number, run.slots_planned) for run in runs] == [
        (each.arm.name, each.again, each.number, 4) for each in planned
    ]
    assert {run.outcome for run in runs} == {"finished"}
    assert slots_of(runs) == [(4, 4)] * 3
    order = [words.split(", slot")[0] for words in said if ", slot" in words]
    names = [f"{each.arm.name}{' again' if each.again else ''}" for each in planned]
    assert order == [names[place] for place in slot_order(3, 4, 1, suite.seed)]
    assert not [run for run in runs if run.is_spoiled]


def test_a_spoiled_slot_is_made_again_in_its_place(suite: Suite) -> None:
    _, runs, said = made(suite, "gusty")
    assert slots_of(runs) == [(5, 4)] * 3, "the second slot of each"
    numbers = [words.split("slot ")[1].split(" of")[0] for words in said if ", slot" in words]
    twice = [number for number, count in Counter(numbers).items() if count == 2]
    assert len(twice) == 3
    assert numbers == sorted(numbers, key=int)
    assert said[-4].endswith("of 12, 3 made again")
    assert not [run for run in runs if run.is_spoiled]


def test_half_as_many_slots_again_are_made_at_most_and_not_all_for_one(suite: Suite) -> None:
    _, runs, _ = made(suite, "stolen")
    assert sum(made for made, _ in slots_of(runs)) == 12 + 6
    assert all(4 < made <= 7 for made, _ in slots_of(runs)), "each has what was planned, and none takes all the others"
    assert all(run.is_spoiled for run in runs)


def test_one_slot_is_made_five_times_at_most(suite: Suite) -> None:
    made_of: list[int] = []

    class Arm(NamedTuple):
        name: str
        planned: PlannedRun
        has_failed: bool = False

        def carry_out(self, _: AnyOrder, __: type[SlotMeasured]) -> SlotMeasured:
            made_of.append(int(self.name))
            return SlotMeasured(1, [STOLEN] if self.name == "9" else [], 0.0, 0.1)

    planned = next_runs(RunIndex(suite))[0]
    trial = Trial(Pinning(None, None), COMMANDS, lambda _: None)
    arms: Any = [Arm(str(place), planned) for place in range(12)]
    block._measure(arms, list(range(12)), trial)
    assert Counter(made_of) == {place: 5 if place == 9 else 1 for place in range(12)}


def test_an_arm_that_fails_leaves_its_slots_and_the_others_go_on_in_the_same_order(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(StandingArm):
        def carry_out(self, order: AnyOrder, kind: type[Said]) -> Said | None:
            if isinstance(order, SlotOrder) and self.planned.arm.name == "asyncio":
                self._children()[0].stop(0)
            return super().carry_out(order, kind)

    monkeypatch.setattr(block, "StandingArm", Failing)
    _, runs, said = made(suite)
    whole = slot_order(3, 4, 1, suite.seed)
    failed = next(place for place, run in enumerate(runs) if run.arm == "asyncio")
    assert (runs[failed].outcome, runs[failed].fault) == ("failed", "server")
    order = [words for words in said if ", slot" in words]
    assert [words.split(", slot")[0] for words in order if "asyncio" not in words] == [
        f"gevent{' again' if runs[place].again else ''}" for place in whole if place != failed
    ]
    assert slots_of(runs) == [(4, 4)] * 2


def test_an_arm_of_which_a_process_does_not_end_even_killed_is_a_failed_run(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    reap, stuck = Child._reap, set()

    def reap_others(child: Child) -> None:
        if child.name == "server" and "--pad" in child.command:
            stuck.add(child)
            raise RunFailedError("the server does not end, even killed")
        reap(child)

    monkeypatch.setattr(Child, "_reap", reap_others)
    _, runs, _ = made(suite, arms=["asyncio:pad=7", "gevent"])
    assert {run.arm: run.reason for run in runs} == {
        "asyncio:pad=7": "the server does not end, even killed",
        "gevent": None,
    }
    for child in stuck:
        reap(child)


def test_a_comparison_in_slots_from_its_announcement_to_its_report(
    tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path
) -> None:
    suite = suite_file("asyncio", "gevent", repeats=2, more=f'again = "gevent"\n{SLOTS}')
    done = tickbench("compare", "--suite", suite, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 arms x 2 repeats, 30 connections, 0.1 s measured each, side by side in slots of 0.05 s" in done.stdout
    runs = read_results(tmp_path / "out" / "latest").runs
    assert [(run.block, run.attempt) for run in runs] == [(1, 1)] * 3 + [(2, 1)] * 3
    assert slots_of(runs) == [(2, 2)] * 6
    assert {(run.server.exit_status, run.generator.exit_status) for run in runs if run.server and run.generator} == {
        (0, 0)
    }
    assert f"run 6 of 6: block 2, {runs[-1].arm}" in done.stdout


def test_a_window_that_cannot_be_cut_into_slots_is_refused(tickbench: Tickbench, suite_file: WriteSuite) -> None:
    done = tickbench("compare", "--suite", suite_file("gevent", duration_s=5, more="slot_s = 2\n"))
    assert done.returncode == 2
    assert "5 s cannot be cut into slots of 2 s; let 'duration_s' be a multiple of 'slot_s'" in done.stderr
    assert load_suite(str(suite_file("gevent", duration_s=0.3, more="slot_s = 0.1\n"))).in_slots


def in_slots(run: Run, kept: int) -> Run:
    """Return a run as one in four slots, of which the machine spoiled some."""
    assert run.load is not None
    left_out = {STOLEN: 4 - kept} if kept < 4 else {}
    slots = SlotFigures(slot_s=0.02, made=4, kept=kept, thrown_s=0.4, left_out=left_out)
    return msgspec.structs.replace(run, slots_planned=4, load=msgspec.structs.replace(run.load, slots=slots))


def blocks_of(suite: Suite, measured: Callable[..., Run], *kept: Sequence[int]) -> list[Run]:
    """Make blocks as they are planned, in the runs of which so many slots were kept."""
    runs: list[Run] = []
    for each in kept:
        planned = next_runs(RunIndex(suite, runs))
        runs += [in_slots(measured(run), slots) for run, slots in zip(planned, each, strict=False)]
    return runs


def whose(planned: Sequence[PlannedRun]) -> list[tuple[int, int, int]]:
    return [(run.block, run.attempt, run.number) for run in planned]


def test_a_block_is_planned_as_a_whole(suite: Suite, measured: Callable[..., Run]) -> None:
    assert whose(next_runs(RunIndex(suite))) == [(1, 1, 1), (1, 1, 2), (1, 1, 3)]
    runs = blocks_of(suite, measured, [4, 4, 4])
    assert whose(next_runs(RunIndex(suite, runs))) == [(2, 1, 4), (2, 1, 5), (2, 1, 6)]
    runs = blocks_of(suite, measured, [4, 4, 4], [4, 4, 4])
    assert next_runs(RunIndex(suite, runs)) == []


def test_a_block_of_which_not_all_runs_were_written_is_made_anew(suite: Suite, measured: Callable[..., Run]) -> None:
    for count in (1, 2):
        runs = blocks_of(suite, measured, [4, 4, 4])[:count]
        following = next_runs(RunIndex(suite, runs))
        assert whose(following) == [(1, 2, number) for number in range(count + 1, count + 4)]
        again = [*runs, *(in_slots(measured(run), 4) for run in following)]
        assert whose(next_runs(RunIndex(suite, again)))[0] == (2, 1, count + 4)
        index = RunIndex(suite, again)
        assert [index.mark(run) for run in again] == ["superseded"] * count + ["valid"] * 3


def test_a_block_is_made_again_if_fewer_than_half_of_an_arm_s_slots_were_kept(
    suite: Suite, measured: Callable[..., Run]
) -> None:
    assert whose(next_runs(RunIndex(suite, blocks_of(suite, measured, [4, 2, 4]))))[0] == (2, 1, 4), "half is enough"
    runs = blocks_of(suite, measured, [4, 1, 4])
    assert [run.is_spoiled for run in runs] == [False, True, False]
    assert whose(next_runs(RunIndex(suite, runs))) == [(1, 2, 4), (1, 2, 5), (1, 2, 6)]
    assert whose(next_runs(RunIndex(msgspec.structs.replace(suite, max_attempts=1), runs)))[0] == (2, 1, 4)
    runs = blocks_of(suite, measured, [4, 1, 4], [4, 1, 4])
    assert most_repeats(suite) == 3, "of six runs, so one block"
    assert whose(next_runs(RunIndex(suite, runs)))[0] == (2, 1, 7)


def test_spoiled_blocks_end_a_comparison_by_how_many_of_their_runs_are(
    suite: Suite, measured: Callable[..., Run]
) -> None:
    suite = msgspec.structs.replace(suite, repeats=6, stop_after=3)
    assert not RunIndex(suite, blocks_of(suite, measured, [1, 1, 4])).is_unfit
    for kept in ([[1, 1, 4], [4, 0, 4]], [[0, 0, 0]]):
        index = RunIndex(suite, blocks_of(suite, measured, *kept))
        assert index.waived == {run.number for run in index.runs}
        assert index.unfit_runs == index.runs
        assert whose(next_runs(index))[0] == (1, len(kept) + 1, len(index.runs) + 1), "as if it had not been tried"
        unfit = why_unfit(index.unfit_runs)
        assert unfit is not None
        assert unfit.happened == f"{STOLEN} in 3 of {len(index.runs)} runs"
        assert unfit.advice.startswith("Use a quieter host")
    apart = blocks_of(suite, measured, [1, 1, 4], [4, 4, 4], [4, 1, 4])
    assert not RunIndex(suite, apart).is_unfit


def test_the_wait_for_idle_cores_before_a_block_counts_once(suite: Suite, measured: Callable[..., Run]) -> None:
    suite = msgspec.structs.replace(suite, quiet_wait_s=20)
    runs = blocks_of(suite, measured, [4, 4, 4])
    busy = Quiet(is_quiet=False, busy_percent=60, waited_s=20)
    index = RunIndex(suite, [msgspec.structs.replace(run, quiet=busy, took_s=50) for run in runs])
    assert quiet_wait_s(index) == 10
    assert time_left_s(index) == pytest.approx(3 * 50 + 20)
    assert time_left_s(RunIndex(suite, runs[:2])) > time_left_s(RunIndex(suite, runs)), "it is made anew"


def test_progress_says_which_block_of_how_many_at_which_attempt(suite: Suite, measured: Callable[..., Run]) -> None:
    planned = next_runs(RunIndex(suite, blocks_of(suite, measured, [4, 1, 4])))
    assert block_words(suite, planned) == "block 1 of 2, attempt 2 of 3: 3 x 4 slots of 0.02 s"
    (run,) = blocks_of(suite, measured, [3])
    assert run_line(run).startswith("3 of 4 slots, lateness p50 ")
