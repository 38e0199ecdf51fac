"""The steps of a search in slots, with the stand-ins for its children."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from shared.measure.orders import Answer, AnyOrder, UsersOrder, WarmOrder
from tests.tickbench.fakes.tickbench_with_fakes import fake_load, fake_server
from tickbench.arms import parse_arm
from tickbench.children.commands import Commands
from tickbench.compare import rising_arms
from tickbench.compare.plan import PlannedRun, fixed_runs
from tickbench.compare.rising_arms import SLOT_TRIES, RisingArms
from tickbench.compare.runs import Run
from tickbench.compare.standing_arm import StandingArm
from tickbench.compare.suite import Suite
from tickbench.compare.trial import Trial
from tickbench.machine.pinning import Pinning

Step = Callable[..., Run]


@pytest.fixture
def rising(monkeypatch: pytest.MonkeyPatch) -> Iterator[RisingArms]:
    monkeypatch.setattr(rising_arms, "SETTLING_S", 0.01)
    commands = Commands(server=fake_server, load=fake_load, check=None)
    with RisingArms(Trial(Pinning(None, None), commands, lambda _: None)) as found:
        yield found


@pytest.fixture
def step(suite: Suite, rising: RisingArms) -> Step:
    """Make a step of a search."""
    first = next(fixed_runs(suite))

    def make(connections: int, arm: str = "asyncio", scenario: str = "counted", **changes: object) -> Run:
        planned: PlannedRun = msgspec.structs.replace(
            first,
            part="arena",
            arm=parse_arm(arm),
            scenario=scenario,
            connections=connections,
            server={},
            warm_up_s=0,
            duration_s=0.01,
            slot_s=0.01,
        )
        return rising.step(msgspec.structs.replace(planned, **changes), quiet_wait_s=0)

    return make


def processes(rising: RisingArms, arm: str = "asyncio") -> list[psutil.Process]:
    return [psutil.Process(child.pid) for child in rising._arms[arm].arm._children()]


def test_a_load_rises_and_falls_on_one_server(rising: RisingArms, step: Step) -> None:
    runs = [step(300)]
    before = processes(rising)
    runs += [step(400), step(400), step(350)]
    assert processes(rising) == before
    assert {run.outcome for run in runs} == {"finished"}, [run.reason for run in runs]
    loads = [(run.load.connections.connected, run.load.slots) for run in runs if run.load is not None]
    assert [connected for connected, _ in loads] == [300, 400, 400, 350]
    assert [slots.made for _, slots in loads if slots is not None] == [1] * 4, "each is a run of its own"
    after = processes(rising)
    rising.leave()
    assert not [process for process in after if process.is_running()]


def test_arms_stand_still_beside_each_other_until_the_next_search(rising: RisingArms, step: Step) -> None:
    step(300)
    step(300, "gevent")
    first = [*processes(rising), *processes(rising, "gevent")]
    assert len(set(first)) == 4
    step(300, block=2)
    assert not [process for process in first if process.is_running()]


def test_a_slot_that_the_machine_spoiled_is_made_again_up_to_a_bound(step: Step) -> None:
    made: list[int] = []
    kept: list[int] = []
    for scenario in ("steady", "stolen"):
        run = step(300, scenario=scenario, block=len(made) + 1)
        assert run.load is not None
        assert run.load.slots is not None
        made.append(run.load.slots.made)
        kept.append(run.load.slots.kept)
        assert run.is_spoiled == (scenario == "stolen")
    assert (made, kept) == ([1, SLOT_TRIES], [1, 0])


@pytest.mark.parametrize(
    ("arm", "scenario", "fault"),
    [("asyncio:behaviour=refuses", "steady", "server"), ("asyncio", "broken", "generator")],
)
def test_what_failed_gets_fresh_processes_for_the_next_step(
    rising: RisingArms, step: Step, arm: str, scenario: str, fault: str
) -> None:
    failed = step(300, arm, scenario)
    assert (failed.outcome, failed.fault, failed.load) == ("failed", fault, None)
    assert not rising._arms
    assert step(300).outcome == "finished"


@pytest.mark.parametrize("scenario", ["losing", "lacking"])
def test_a_server_that_lost_connections_is_not_asked_again(rising: RisingArms, step: Step, scenario: str) -> None:
    lost = step(300, scenario=scenario)
    assert lost.load is not None
    assert (lost.load.connections.closed_early, lost.load.connections.connected) in {(1, 300), (0, 299)}
    assert not rising._arms, "what is lost would count in each of its slots"


def test_a_fresh_server_has_the_whole_warm_up_and_one_whose_load_changed_settles(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered: list[AnyOrder] = []
    carry_out = StandingArm.carry_out

    def note(arm: StandingArm, order: AnyOrder, kind: type[Answer]) -> Answer | None:
        ordered.append(order)
        return carry_out(arm, order, kind)

    monkeypatch.setattr(StandingArm, "carry_out", note)
    for connections, block in ((300, 1), (300, 1), (400, 1), (350, 1), (350, 2)):
        step(connections, warm_up_s=0.02, block=block)
    unmeasured = [order for order in ordered if isinstance(order, WarmOrder | UsersOrder)]
    changed = [[UsersOrder(connections), WarmOrder(0.01)] for connections in (400, 350)]
    assert unmeasured == [WarmOrder(0.02), *changed[0], *changed[1], WarmOrder(0.02)]


def test_an_arm_whose_search_is_over_ends_while_the_others_go_on(rising: RisingArms, step: Step) -> None:
    step(300)
    step(300, "gevent")
    over, on = processes(rising), processes(rising, "gevent")
    rising.keep(["gevent", "another"])
    assert [process.is_running() for process in (*over, *on)] == [False, False, True, True]


def test_nothing_is_left_where_a_comparison_is_broken_off(
    step: Step, rising: RisingArms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    step(300)
    children = processes(rising)
    with pytest.raises(KeyboardInterrupt), rising:
        raise KeyboardInterrupt
    assert not [child for child in children if child.is_running()]
    assert not list(tmp_path.iterdir())
