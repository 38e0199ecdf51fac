"""Blocks whose arms run at once, with the stand-ins for their children, and what is made of their runs."""

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from shared.measure.orders import AnyOrder, DropOrder, SlotOrder, WarmOrder
from shared.measure.summary import FOR_ANOTHER, SlotFigures
from tests.tickbench.fakes import tickbench_with_fakes as fakes
from tests.tickbench.fakes.tickbench_with_fakes import fake_load, fake_server
from tickbench.children.commands import Commands
from tickbench.compare import block
from tickbench.compare.block import block_order, run_block
from tickbench.compare.block_ratios import logs_of, logs_with_itself
from tickbench.compare.excluded import why_not_by_shares
from tickbench.compare.figures import MEMORY
from tickbench.compare.plan import PlannedRun, fixed_runs, next_runs, run_estimate_s
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.standing_arm import StandingArm
from tickbench.compare.suite import Suite
from tickbench.compare.trial import Trial
from tickbench.compare.unfit_machine import why_unfit
from tickbench.errors import InputError
from tickbench.machine.pinning import Pinning

Measured = Callable[..., Run]
P50, P99 = "tick_lateness_ms.p50", "tick_lateness_ms.p99"
NAIVE = "asyncio:fanout=naive"


@pytest.fixture
def suite(suite: Suite) -> Suite:
    """Return a suite of three arms, two of which run together, one of them twice."""
    return msgspec.structs.replace(
        suite,
        arms=["asyncio", "gevent", NAIVE],
        compare=["asyncio", "gevent"],
        again="asyncio",
        slot_s=0.02,
        duration_s=0.04,
        together_s=0.06,
        warm_up_s=0.01,
        server={},
    )


class Noting(StandingArm):
    """An arm that notes its orders: its name, its pids and what it was told."""

    noted: list[tuple[str, list[int], AnyOrder]]

    def begin(self, order: AnyOrder) -> None:
        self.noted.append((self.name, self.pids, order))
        super().begin(order)


def made(suite: Suite, load: Callable[[Sequence[str]], list[str]] = fake_load) -> tuple[list[Run], list[str]]:
    """Make a block; return its runs, and what was said meanwhile."""
    said: list[str] = []
    planned = next_runs(RunIndex(suite))
    order = block_order([each for each in planned if each.part == "blocks"], suite.seed)
    trial = Trial(Pinning(None, None), Commands(server=fake_server, load=load, check=None), said.append)
    runs = run_block(planned, order, trial, 0)
    assert [run.key for run in runs] == [each.key for each in planned]
    return runs, said


def slots_of(runs: Sequence[Run], part: str) -> list[tuple[int, int]]:
    return [
        (run.load.slots.made, run.load.slots.kept) for run in runs if run.part == part and run.load and run.load.slots
    ]


def test_all_run_together_first_and_then_each_alone(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block, "StandingArm", Noting)
    monkeypatch.setattr(Noting, "noted", [], raising=False)
    began = time.monotonic()
    runs, said = made(suite)
    assert sum(run.took_s for run in runs) <= time.monotonic() - began + 0.01, "no time counts twice"
    assert (slots_of(runs, "blocks"), slots_of(runs, "together")) == ([(2, 2)] * 4, [(3, 3)] * 3)
    slots = [words for words in said if ", slot" in words]
    assert slots[:3] == [f"together, slot {number} of 3" for number in (1, 2, 3)]
    assert len(slots) == 3 + 4 * 2, "one slot of all at once, and one of each alone"
    pids = {name: set(own) for name, own, _ in Noting.noted if name != NAIVE}
    assert all(len(own) >= 2 for own in pids.values()), "a server and a generator"
    warmed = [(name, order.beside) for name, _, order in Noting.noted if isinstance(order, WarmOrder)]
    measured = [(name, order.beside) for name, _, order in Noting.noted if isinstance(order, SlotOrder)]
    assert Counter(name for name, _ in warmed) == {**dict.fromkeys(pids, 1), NAIVE: 1}, (
        "who is warm needs no other warm-up"
    )
    assert warmed[-1] == (NAIVE, []), "right before its first slot"
    for name, beside in [*warmed[:3], *measured[: 3 * 3]]:
        assert set(beside) == set().union(*(own for other, own in pids.items() if other != name))
    assert not [beside for _, beside in measured[3 * 3 :] if beside], "then each is alone"


def test_a_run_together_is_one_of_the_same_server(suite: Suite) -> None:
    """Also where an arm that does not run together stands between two that do, and cannot."""
    command = {"unable": f"{sys.executable} {fakes.__file__.replace('tickbench_with_fakes', 'server')} --port {{port}}"}
    for seed in range(20):
        named = msgspec.structs.replace(suite, arms=["asyncio", "unable", "gevent"], commands=command, seed=seed)
        if "unable" in [each.arm.name for each in next_runs(RunIndex(named))[1:3]]:
            break
    runs, _ = made(named)
    assert {run.outcome for run in runs} == {"finished"}
    of_server = {(run.arm, run.again): run.server.command for run in runs if run.part == "blocks" and run.server}
    together = {(run.arm, run.again): run.server.command for run in runs if run.part == "together" and run.server}
    assert of_server == together | {("unable", False): of_server["unable", False]}
    assert len(together) == len({tuple(words) for words in together.values()}) == 3, "each has a phase of its own"


def test_those_that_run_together_tick_one_after_the_other(suite: Suite) -> None:
    for number in (1, 2):
        planned = [each for each in fixed_runs(suite) if each.block == number]
        together = [each for each in planned if each.part == "together"]
        assert sorted(float(each.server["phase"]) for each in together) == [0.0, 0.3333, 0.6667]
        by_key = {(each.arm.name, each.again): each for each in planned if each.part == "blocks"}
        assert len(by_key) == 4
        for each in together:
            assert by_key[each.arm.name, each.again].server == each.server, "it is the same server"
        assert "phase" not in by_key[NAIVE, False].server


def test_no_memory_is_weighed_together_and_the_time_is_that_of_one(suite: Suite) -> None:
    heavy = msgspec.structs.replace(suite, load={"memory": 1000}, duration_s=4.0, slot_s=2.0, together_s=10.0)
    planned = [each for each in fixed_runs(heavy) if each.block == 1]
    together = [each for each in planned if each.part == "together"]
    assert {each.part for each in planned if "memory" in each.load} == {"blocks"}
    assert 10 <= sum(map(run_estimate_s, together)) < 20
    assert {each.duration_s for each in together} == {10.0}


def test_a_slot_that_the_machine_spoiled_for_one_is_left_out_for_all(suite: Suite) -> None:
    commands: list[Sequence[str]] = []

    def load(arguments: Sequence[str]) -> list[str]:
        commands.append(arguments)
        return fake_load([*arguments, *(["--scenario", "gusty"] if len(commands) == 1 else [])])

    runs, said = made(suite, load)
    assert slots_of(runs, "together") == [(4, 3)] * 3, "each has what was planned, of the same moments"
    assert "together, slot 2 of 3, 1 made again" in said
    assert not [run for run in runs if run.is_spoiled]


def test_a_slot_in_which_one_failed_is_left_out_for_the_others_and_they_go_on(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Noting):
        def begin(self, order: AnyOrder) -> None:
            made_before = sum(name == self.name and isinstance(each, SlotOrder) for name, _, each in self.noted)
            if isinstance(order, SlotOrder) and self.planned.arm.name == "gevent" and made_before == 1:
                self._children()[0].stop(0)
            super().begin(order)

    monkeypatch.setattr(block, "StandingArm", Failing)
    monkeypatch.setattr(Noting, "noted", [], raising=False)
    runs, _ = made(suite)
    assert {(run.part, run.arm): (run.outcome, run.fault) for run in runs if run.arm == "gevent"} == {
        ("blocks", "gevent"): ("failed", "server"),
        ("together", "gevent"): ("failed", "server"),
    }
    assert slots_of(runs, "together") == [(4, 3)] * 2
    assert slots_of(runs, "blocks") == [(2, 2)] * 3
    assert Counter(name for name, _, order in Noting.noted if isinstance(order, DropOrder)) == {
        "asyncio": 1,
        "asyncio again": 1,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"together_s": 0.0},
        {"slot_s": 0.0},
        {"arms": ["asyncio", "gevent", "url=ws://127.0.0.1:9/x"]},
        {"arms": ["asyncio", "gevent", "other"], "compare": ["asyncio", "other"], "commands": {"other": "x {port}"}},
        {"arms": ["asyncio", "gevent", "other"], "again": "other", "commands": {"other": "x {port}"}},
        {"arms": ["asyncio"], "again": None, "compare": []},
        {"arms": ["asyncio", "gevent", NAIVE, "gevent:fanout=naive"], "compare": []},
        {"scenario": "players"},
        {"load": {"room-size": 10}},
    ],
)
def test_where_a_verdict_s_arms_cannot_run_together_each_runs_alone_for_as_much_longer(
    suite: Suite, change: dict[str, Any]
) -> None:
    changed = msgspec.structs.replace(suite, **change)
    planned = list(fixed_runs(changed))
    assert {each.part for each in planned} == {"blocks"}
    assert [each.duration_s for each in planned] == pytest.approx([0.04 + changed.together_s] * len(planned))
    assert not [each for each in planned if "phase" in each.server]


def test_a_command_runs_together_if_it_takes_its_phase(suite: Suite) -> None:
    commands = {"able": "serve --port {port} --phase {phase}", "unable": "serve --port {port}"}
    named = msgspec.structs.replace(suite, arms=["asyncio", *commands], compare=["asyncio", "able"], commands=commands)
    together = [each for each in fixed_runs(named) if each.part == "together" and each.block == 1]
    assert Counter(each.arm.name for each in together) == {"asyncio": 2, "able": 1}
    index = RunIndex(named)
    assert index.is_together(P99, "asyncio", "able")
    assert not index.is_together(P99, "asyncio", "unable")


def test_where_no_pair_is_named_all_run_together_up_to_four_servers(suite: Suite) -> None:
    named = msgspec.structs.replace(suite, compare=[])
    assert named.run_together == named.arms
    assert len([each for each in fixed_runs(named) if each.part == "together" and each.block == 1]) == 4


@pytest.mark.parametrize(
    ("change", "words"), [({"together_s": 0.05}, "'together_s' be a"), ({"slot_s": 0.0}, "slot_s")]
)
def test_what_cannot_be_run_together_is_refused(suite: Suite, change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        msgspec.structs.replace(suite, **change).check()


# What is made of the runs


def in_slots(run: Run) -> Run:
    return msgspec.structs.replace(run, slots_planned=3)


def index_of(suite: Suite, measured: Measured, figures: Callable[[PlannedRun], dict[str, Any]]) -> RunIndex:
    runs = [measured(planned, **figures(planned)) for planned in fixed_runs(suite)]
    return RunIndex(suite, [msgspec.structs.replace(run, number=place) for place, run in enumerate(runs, start=1)])


def test_ratios_are_of_runs_together_but_of_memory_and_of_pings(suite: Suite, measured: Measured) -> None:
    def figures(planned: PlannedRun) -> dict[str, Any]:
        factor = 2.0 if (planned.part == "together") == (planned.arm.name == "gevent") else 1.0
        factor *= 1.5 if planned.again else 1.0
        return {
            "tick_lateness_ms__p50": factor,
            "tick_lateness_ms__p99": 3 * factor,
            "ping_rtt_ms__p99": factor,
            "server__rss_per_connection_bytes": 1000 * factor,
        }

    index, both = index_of(suite, measured, figures), math.log(1.5) / 2  # of the two runs of asyncio the mean counts
    for figure in (P50, P99):
        assert list(logs_of(index, figure, "asyncio", "gevent").values()) == pytest.approx([math.log(2) - both] * 2)
        assert list(logs_of(index, figure, "asyncio", NAIVE).values()) == pytest.approx([-both] * 2), "alone"
        assert list(logs_with_itself(index, figure, "asyncio").values()) == pytest.approx([math.log(1.5)] * 2)
    for figure in ("ping_rtt_ms.p99", MEMORY):
        assert list(logs_of(index, figure, "asyncio", "gevent").values()) == pytest.approx([math.log(0.5) - both] * 2)


@pytest.mark.parametrize("late_ms", [16.6, 16.7])
def test_where_ticks_met_all_ratios_are_of_arms_alone(suite: Suite, measured: Measured, late_ms: float) -> None:
    """Of three at 20 Hz each has 16.67 ms; a burst in one block of three is none."""
    suite = msgspec.structs.replace(suite, repeats=3)

    def figures(planned: PlannedRun) -> dict[str, Any]:
        is_late = planned.part == "together" and planned.arm.name == "gevent" and planned.block < 3
        burst_ms = 40.0 if planned.part == "together" and planned.block == 3 else 5.0
        return {"tick_lateness_ms__p99": late_ms if is_late else burst_ms, "tick_rate_hz": 20.0}

    index = index_of(suite, measured, figures)
    has_met = late_ms > 50 / 3
    assert (index.ticks_met is not None) == has_met
    assert index.is_together(P50, "asyncio", "gevent") != has_met
    used = {run.part for run in index.runs_for_ratio(P50, "asyncio", "gevent")}
    assert used == ({"blocks"} if has_met else {"together"})
    if index.ticks_met:
        assert "came 16.7 ms after its tick was due, and each has 16.7 ms" in index.ticks_met.words
    assert all(run.is_valid for run in index.runs), "no block is left out by its figures"


def test_shares_are_those_of_what_the_verdict_rests_on(suite: Suite, measured: Measured) -> None:
    suite = msgspec.structs.replace(suite, repeats=8)

    def figures(planned: PlannedRun, worse: str) -> dict[str, Any]:
        lost = (3 + planned.block % 3) * (planned.arm.name == "gevent" and planned.part == worse)
        return {"slots": SlotFigures(slot_s=1, made=4 + lost, kept=4, thrown_s=0.4, left_out={})}

    assert why_not_by_shares(index_of(suite, measured, lambda planned: figures(planned, "blocks"))) is None
    assert why_not_by_shares(index_of(suite, measured, lambda planned: figures(planned, "together"))) is not None
    alone = msgspec.structs.replace(suite, together_s=0.0)
    assert why_not_by_shares(index_of(alone, measured, lambda planned: figures(planned, "blocks"))) is not None


def test_a_block_of_which_not_all_that_ran_together_was_written_is_made_anew(suite: Suite, measured: Measured) -> None:
    planned = next_runs(RunIndex(suite))
    assert [each.part for each in planned] == ["blocks"] * 4 + ["together"] * 3
    slots = SlotFigures(slot_s=0.02, made=4, kept=4, thrown_s=0.4)
    runs = [in_slots(measured(each, slots=slots)) for each in planned]
    again = next_runs(RunIndex(suite, runs[:-1]))
    assert {(each.block, each.attempt) for each in again} == {(1, 2)}
    assert [each.number for each in again] == list(range(7, 14))
    assert next_runs(RunIndex(suite, runs))[0].block == 2
    assert RunIndex(suite, runs).made_together == [runs]


def test_one_bad_stretch_of_those_together_counts_once(suite: Suite, measured: Measured) -> None:
    suite = msgspec.structs.replace(suite, stop_after=3)
    stolen = {"the hypervisor stole": 3}

    def figures(planned: PlannedRun, short: Sequence[str]) -> dict[str, Any]:
        left_out = stolen if planned.arm.name == "gevent" else {FOR_ANOTHER: 3}
        kept = 0 if planned.part in short else 3
        return {"slots": SlotFigures(slot_s=0.02, made=3, kept=kept, thrown_s=0.4, left_out={} if kept else left_out)}

    def after_a_block(*short: str) -> RunIndex:
        planned = next_runs(RunIndex(suite))
        runs = [in_slots(measured(each, **figures(each, short))) for each in planned]
        return RunIndex(suite, runs)

    assert not after_a_block("together").is_unfit
    index = after_a_block("together", "blocks")
    assert index.is_unfit
    unfit = why_unfit(index.unfit_runs)
    assert unfit is not None
    assert FOR_ANOTHER not in unfit.happened
    assert unfit.happened.startswith("the hypervisor stole in ")
