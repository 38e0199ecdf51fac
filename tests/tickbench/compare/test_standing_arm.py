"""An arm that stands still between orders, with the stand-ins for its children."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from shared.measure.orders import SlotMeasured, SlotOrder, UsersOrder, UsersUp
from tests.tickbench.children.test_processes import wait_until
from tests.tickbench.fakes.tickbench_with_fakes import fake_load, fake_server
from tickbench.arms import parse_arm
from tickbench.children.commands import Commands
from tickbench.children.processes import Nursery
from tickbench.compare import standing_arm
from tickbench.compare.plan import fixed_runs
from tickbench.compare.standing_arm import StandingArm, start_together
from tickbench.compare.suite import Suite
from tickbench.compare.trial import Trial
from tickbench.machine.pinning import Pinning

COMMANDS = Commands(server=fake_server, load=fake_load, check=None)
SLOT = SlotOrder(0.01)


@contextmanager
def arms_of(suite: Suite, folder: Path, *names: str, scenario: str = "steady") -> Iterator[list[StandingArm]]:
    """Start arms, which are to be there at once."""
    planned = next(fixed_runs(msgspec.structs.replace(suite, server={})))
    plans = [msgspec.structs.replace(planned, arm=parse_arm(name), scenario=scenario) for name in names]
    with Nursery() as nursery:
        trial = Trial(Pinning(None, None), COMMANDS, lambda _: None)
        arms = [StandingArm(plan, trial, nursery, folder / str(place)) for place, plan in enumerate(plans)]
        start_together(arms, lambda _: None)
        yield arms


def statuses(arm: StandingArm) -> set[str]:
    return {psutil.Process(child.pid).status() for child in arm._children()}


def stand_still(arm: StandingArm) -> None:
    wait_until(lambda: statuses(arm) == {psutil.STATUS_STOPPED})


def test_one_arm_runs_at_a_time_and_each_ends_with_a_run(suite: Suite, tmp_path: Path) -> None:
    with arms_of(suite, tmp_path, "asyncio", "gevent") as arms:
        for arm in arms:
            stand_still(arm)
        seen = []

        def look(_: float) -> bool:
            seen.append([statuses(arm) == {psutil.STATUS_STOPPED} for arm in arms])
            return False

        generator = arms[0]._children()[1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                generator,
                "has_said",
                lambda timeout_s: look(timeout_s) or type(generator).has_said(generator, timeout_s),
            )
            answer = arms[0].carry_out(SLOT, SlotMeasured)
        assert answer is not None
        assert (answer.number, answer.spoiled) == (1, [])
        assert seen[0] == [False, True], "the other one stands still meanwhile"
        for arm in arms:
            stand_still(arm)
            arm.finish()
        runs = [arm.run(None, 1.0) for arm in arms]
    assert [(run.arm, run.outcome, run.fault) for run in runs] == [
        ("asyncio", "finished", None),
        ("gevent", "finished", None),
    ]
    assert [run.load.slots.made for run in runs if run.load and run.load.slots] == [1, 0]
    assert {record.exit_status for run in runs for record in (run.server, run.generator) if record} == {0}
    assert all(run.server_settings for run in runs)


@pytest.mark.parametrize(
    ("name", "scenario", "fault", "reason"),
    [
        ("asyncio:behaviour=refuses", "steady", "server", "ended with exit status 1 before it was ready"),
        ("asyncio:behaviour=dies", "steady", "server", "the server ended with exit status 7 under load"),
        ("asyncio", "broken", "generator", "the load run ended with exit status 1, its last line: the load broke"),
        ("asyncio", "silent", "generator", "the load run said nothing for 0.21 s"),
        ("asyncio", "confused", "generator", 'the load run said \'{"said": "nonsense", "number": 1, '),
    ],
)
def test_a_child_that_fails_is_the_failure_of_its_arm(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, scenario: str, fault: str, reason: str
) -> None:
    monkeypatch.setattr(standing_arm, "ORDER_SLACK_S", 0.2)
    monkeypatch.setattr(standing_arm, "LOOK_S", 0.05)
    with arms_of(suite, tmp_path, name, scenario=scenario) as (arm,):
        if "dies" in name:
            assert not arm.has_failed
            arm._wake()
            time.sleep(0.5)
        if not arm.has_failed:
            assert arm.carry_out(SLOT, SlotMeasured) is None
        run = arm.run(None, 1.0)
        pids = [child.pid for child in (arm._server, arm._generator) if child]
        assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert (run.outcome, run.fault, run.load) == ("failed", fault, None)
    assert reason in str(run.reason)


def test_users_are_brought_while_the_others_stand_still(suite: Suite, tmp_path: Path) -> None:
    with arms_of(suite, tmp_path, "asyncio") as (arm,):
        answer = arm.carry_out(UsersOrder(700), UsersUp)
        assert answer is not None
        assert (answer.connected, answer.requested) == (700, 700)
        stand_still(arm)


def test_a_load_rises_and_falls_and_each_has_a_summary_of_its_own(suite: Suite, tmp_path: Path) -> None:
    with arms_of(suite, tmp_path, "asyncio", scenario="counted") as (arm,):
        for number, connections in enumerate((300, 400, 400, 350), start=1):
            arm.rise(msgspec.structs.replace(arm.planned, number=number, connections=connections))
            assert arm.run(None, 0).load is None, "of the last one nothing is left"
            arm.carry_out(SLOT, SlotMeasured)
            arm.sum_up()
            stand_still(arm)
            run = arm.run(None, 1.0)
            assert (run.number, run.connections) == (number, connections)
            assert run.load is not None
            assert run.load.connections.connected == connections
            assert run.load.slots is not None
            assert run.load.slots.made == 1
            assert run.server_settings
            assert [record.exit_status for record in (run.server, run.generator) if record] == [None, None]
            assert run.words == "valid", "a server that goes on has not failed"
        arm._wake()
        arm._server.stop(0)  # type: ignore[union-attr] # it has one
        arm.rise(msgspec.structs.replace(arm.planned, connections=500))
        run = arm.run(None, 1.0)
        assert (run.outcome, run.fault, run.load) == ("failed", "server", None)
