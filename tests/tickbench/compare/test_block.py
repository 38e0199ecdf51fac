"""Blocks in slots, with the stand-ins for their children."""

import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.tickbench.fakes.tickbench_with_fakes import fake_load, fake_server
from tickbench.children.commands import Commands
from tickbench.compare import block
from tickbench.compare.block import run_block
from tickbench.compare.plan import PlannedRun, next_runs
from tickbench.compare.results import read_results
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.slot_order import slot_order
from tickbench.compare.standing_arm import Answer, Order, StandingArm
from tickbench.compare.suite import Suite, load_suite
from tickbench.compare.trial import Trial
from tickbench.machine.pinning import Pinning

Tickbench = Callable[..., subprocess.CompletedProcess[str]]
WriteSuite = Callable[..., Path]
COMMANDS = Commands(server=fake_server, load=fake_load, check=None)
SLOTS = "slot_s = 0.05\n"


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


def test_half_as_many_slots_again_are_made_at_most(suite: Suite) -> None:
    _, runs, _ = made(suite, "stolen")
    assert sum(made for made, _ in slots_of(runs)) == 12 + 6
    assert all(made >= 4 for made, _ in slots_of(runs)), "then each has what was planned"
    assert all(run.is_spoiled for run in runs)


def test_an_arm_that_fails_leaves_its_slots_and_the_others_go_on_in_the_same_order(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(StandingArm):
        def carry_out(self, order: Order) -> Answer | None:
            if order.order == "slot" and self.planned.arm.name == "asyncio":
                self._children()[0].stop(0)
            return super().carry_out(order)

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


def test_an_arm_that_tickbench_does_not_start_cannot_be_stopped_so_all_are_measured_in_whole_runs(
    tickbench: Tickbench, suite_file: WriteSuite, tmp_path: Path, fake_server: Callable[..., list[str]]
) -> None:
    with subprocess.Popen(fake_server(), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        done = tickbench("compare", "--suite", suite_file("gevent", f"url={url}", more=SLOTS), "--out", tmp_path)
        server.terminate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "one after the other, as the server of a url= arm cannot be stopped" in done.stdout
    runs = read_results(tmp_path / "latest").runs
    assert [(run.slots_planned, run.load and run.load.slots) for run in runs] == [(0, None)] * 2


def test_a_window_that_cannot_be_cut_into_slots_is_refused(tickbench: Tickbench, suite_file: WriteSuite) -> None:
    done = tickbench("compare", "--suite", suite_file("gevent", duration_s=5, more="slot_s = 2\n"))
    assert done.returncode == 2
    assert "5 s cannot be cut into slots of 2 s; let 'duration_s' be a multiple of 'slot_s'" in done.stderr
    assert load_suite(str(suite_file("gevent", duration_s=0.3, more="slot_s = 0.1\n"))).in_slots
