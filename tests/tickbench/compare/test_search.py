from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.measure.summary import LoadSummary, ServerFigures, ServerTicks, Validity
from tickbench.compare.runs import Run
from tickbench.compare.search import NEEDED_HOLDS, Capacity, SearchStep, StepOutcome, judge_step, next_step, round_load
from tickbench.compare.suite import CapacitySearch

SLO = "tick_lateness_ms.p99<=25,reach>=0.999,connections.closed_early<=0"
SEARCH = CapacitySearch("arena", "steady", 5, 2, SLO, budget_s=1_000, start=500, limit=20_000)
PROBE_S = 10.0


def searched(outcome: Callable[[int], StepOutcome], search: CapacitySearch = SEARCH) -> tuple[list[int], Capacity]:
    """Search a server of which ``outcome`` says what comes of a load; return the loads and the result."""
    probes: list[SearchStep] = []
    while isinstance(step := next_step(search, probes, PROBE_S * len(probes)), int):
        probes.append(SearchStep(step, outcome(step)))
        assert len(probes) < 200
    return [probe.connections for probe in probes], step


def up_to(most: int, beyond: StepOutcome = "failed") -> Callable[[int], StepOutcome]:
    return lambda connections: "held" if connections <= most else beyond


def told(load: int, first: list[StepOutcome], then: StepOutcome, most: int = 2_900) -> Callable[[int], StepOutcome]:
    """Return a server that holds ``most``, but answers ``load`` as it is told."""
    answers = iter(first)
    return lambda connections: next(answers, then) if connections == load else up_to(most)(connections)


def test_it_doubles_then_bisects_then_confirms_twice() -> None:
    loads, found = searched(up_to(2_900))
    assert loads == [500, 1_000, 2_000, 4_000, 2_800, 3_300, 2_800, 2_800]
    assert found == Capacity(2_800, 3_300, "arm", 2)
    assert found.words == "2,800 (not 3,300)"


def test_it_halves_where_the_first_load_is_too_much() -> None:
    loads, found = searched(up_to(100))
    assert loads[:3] == [500, 250, 125]
    assert found.connections is not None
    assert 100 / 1.2 / 1.1 <= found.connections <= 100


@given(st.integers(1, 30_000), st.integers(1, 20_000))
def test_what_it_finds_held_and_lies_near_the_truth(truth: int, start: int) -> None:
    loads, found = searched(up_to(truth), msgspec.structs.replace(SEARCH, start=start, budget_s=10_000))
    assert found.connections is not None
    assert found.connections <= truth
    assert loads.count(found.connections) == NEEDED_HOLDS
    if truth >= SEARCH.limit:
        assert found.limited_by == "limit"
    elif truth >= 20:
        assert found.connections >= truth / 1.2 / 1.12, "by its precision, and by rounding to two digits"


def test_nothing_holds() -> None:
    loads, found = searched(up_to(0))
    assert loads == [500, 250, 125, 62, 31, 15, 7, 3, 1]
    assert found == Capacity(None, 1, "arm", 0)
    assert found.words == "under 1"


def test_a_generator_at_its_end_makes_a_lower_bound() -> None:
    _, found = searched(up_to(2_900, "generator"))
    assert found == Capacity(2_800, 3_300, "generator", 2)
    assert found.words == ">= 2,800 (generator-limited)"


def test_so_does_the_limit_of_the_search() -> None:
    loads, found = searched(up_to(10**6), msgspec.structs.replace(SEARCH, limit=3_000))
    assert loads == [500, 1_000, 2_000, 3_000, 3_000, 3_000]
    assert found.words == ">= 3,000 (limit-limited)"


def test_a_load_that_does_not_hold_again_is_too_much() -> None:
    _, found = searched(told(2_800, ["held"], "failed"))
    assert found.connections == 2_400
    assert found.failed_at == 2_800
    assert found.confirmations == 2


def test_a_load_that_the_machine_spoiled_is_tried_again_and_then_given_up() -> None:
    loads, _ = searched(told(500, ["spoiled", "spoiled"], "held"))
    assert loads[:4] == [500, 500, 500, 1_000]
    _, found = searched(up_to(900, "spoiled"))
    assert found.limited_by == "machine"
    assert found.words.endswith("(machine-limited)")


def test_what_holds_but_cannot_be_trusted_gets_a_second_chance() -> None:
    loads, _ = searched(told(1_000, ["unclear"], "held"))
    assert loads[:4] == [500, 1_000, 1_000, 2_000]
    assert searched(up_to(900, "unclear"))[1].limited_by == "arm"


def test_when_the_budget_is_spent_what_is_found_is_confirmed() -> None:
    loads, found = searched(up_to(2_900), msgspec.structs.replace(SEARCH, budget_s=50.0))
    assert loads == [500, 1_000, 2_000, 2_000, 2_000]
    assert found == Capacity(2_000, None, "budget", 2)
    assert found.words == ">= 2,000 (budget-limited)"


def test_a_bracket_that_the_budget_left_wide_is_no_capacity() -> None:
    _, found = searched(up_to(2_900), msgspec.structs.replace(SEARCH, budget_s=60.0))
    assert found == Capacity(2_000, 4_000, "budget", 2)
    assert found.words == ">= 2,000 (not 4,000; budget-limited)"


def test_halving_ends_with_the_budget() -> None:
    loads, found = searched(up_to(0), msgspec.structs.replace(SEARCH, budget_s=35.0))
    assert loads == [500, 250, 125, 62]
    assert found.words == "under 62"


def test_what_held_too_seldom_is_no_capacity() -> None:
    search = msgspec.structs.replace(SEARCH, budget_s=45.0)
    _, found = searched(told(500, ["held"], "spoiled", most=550), msgspec.structs.replace(search, precision=4.0))
    assert found.connections is None or found.limited_by != "arm"
    late = [
        SearchStep(500, "held"),
        SearchStep(1_000, "unclear"),
        SearchStep(1_000, "unclear"),
        SearchStep(600, "failed"),
    ]
    unconfirmed = next_step(search, [*late, SearchStep(550, "failed")], spent_s=2 * search.budget_s)
    assert unconfirmed == Capacity(500, 550, "budget", 0)
    assert isinstance(unconfirmed, Capacity)
    assert unconfirmed.words == ">= 500 (not 550; budget-limited)"
    confirmed = next_step(search, [*late, *[SearchStep(500, "held")] * 2, SearchStep(550, "failed")], spent_s=90.0)
    assert confirmed == Capacity(500, 550, "arm", 2)


def test_what_held_is_not_undone_by_a_machine_that_spoils_the_confirmations() -> None:
    loads, found = searched(told(1_000, ["spoiled", "spoiled", "held", "spoiled", "lost", "lost"], "held", most=1_100))
    assert loads[:5] == [500, 1_000, 1_000, 1_000, 2_000]
    assert found == Capacity(1_000, 1_200, "arm", 2)
    search = msgspec.structs.replace(SEARCH, budget_s=60.0)
    loads, found = searched(told(1_000, ["held"], "spoiled", most=1_100), search)
    assert len(loads) * PROBE_S <= 2 * search.budget_s, "it ends all the same"
    assert found.connections == 1_000
    assert found.limited_by == "budget"


def test_a_generator_that_fails_is_not_the_server_s_fault() -> None:
    loads, found = searched(up_to(900, "lost"))
    assert loads[:4] == [500, 1_000, 1_000, 710]
    assert found.limited_by == "generator"
    assert found.words.endswith("(generator-limited)")


@pytest.mark.parametrize("beyond", ["generator", "lost", "spoiled"])
def test_where_nothing_could_be_measured_nothing_is_known(beyond: StepOutcome) -> None:
    _, found = searched(up_to(0, beyond))
    assert found.connections is None
    assert found.words.startswith("unknown (")


@pytest.mark.parametrize(("connections", "rounded"), [(1, 1), (7.4, 7), (14, 14), (1414.2, 1_400), (28_284, 28_000)])
def test_loads_are_rounded_to_two_digits(connections: float, rounded: int) -> None:
    assert round_load(connections) == rounded


@pytest.fixture
def held(summary: LoadSummary) -> LoadSummary:
    lateness = msgspec.structs.replace(summary.tick_lateness_ms, p99=20.0)
    server = ServerFigures(cpu_percent=50.0, skipped_ticks=0)
    machine = msgspec.structs.replace(summary.machine, cpus_server=[0])
    return msgspec.structs.replace(
        summary, tick_lateness_ms=lateness, reach=1.0, server=server, machine=machine, validity=Validity.of([], [])
    )


def judged(make_run: Callable[..., Run], load: LoadSummary | None, **changes: object) -> SearchStep:
    changed = None if load is None else msgspec.structs.replace(load, **changes)
    return judge_step(SEARCH, make_run(1, "gevent", load=changed, reason="the server ended"))


def test_a_run_that_holds_the_objective(make_run: Callable[..., Run], held: LoadSummary) -> None:
    assert judged(make_run, held) == SearchStep(300, "held", headroom=25 / 20)


def test_a_run_that_does_not(make_run: Callable[..., Run], held: LoadSummary) -> None:
    found = judged(make_run, held, reach=0.99)
    assert (found.outcome, found.words) == ("failed", "reach is 0.99, not >= 0.999")
    few = msgspec.structs.replace(held.connections, connected=299, requested=300)
    assert judged(make_run, held, connections=few) == SearchStep(
        300, "failed", "299 of 300 connected", headroom=25 / 20
    )
    assert judged(make_run, None) == SearchStep(300, "unclear", "the server ended")


@pytest.mark.parametrize(("fault", "outcome"), [("server", "unclear"), ("generator", "lost")])
def test_whose_fault_it_is_that_a_run_failed(make_run: Callable[..., Run], fault: str, outcome: StepOutcome) -> None:
    assert judge_step(SEARCH, make_run(1, "gevent", load=None, fault=fault)).outcome == outcome


def test_whose_fault_it_is_that_a_run_is_not_valid(make_run: Callable[..., Run], held: LoadSummary) -> None:
    steal, behind = ["steal of 7 %"], ["2 % of the frames were read together"]
    by_machine = Validity.of([*steal, *behind], [], machine=steal, generator=behind)
    by_generator = Validity.of(behind, [], generator=behind)
    assert judged(make_run, held, validity=by_machine, reach=0.5) == SearchStep(300, "spoiled", steal[0])
    assert judged(make_run, held, validity=by_generator, reach=0.5) == SearchStep(300, "generator", behind[0])
    assert judged(make_run, held, validity=Validity.of(["cold"], [])) == SearchStep(300, "unclear", "cold")
    late_and_cold = judged(make_run, held, validity=Validity.of(["cold"], []), reach=0.5)
    assert late_and_cold == SearchStep(300, "unclear", "cold; reach is 0.5, not >= 0.999")


BEHIND = Validity.of(["2 % together"], [], generator=["2 % together"])


def saying(held: LoadSummary, *, sent: int = 120, skipped: int = 0, cpu_percent: float = 50.0) -> ServerFigures:
    """Return what a server says of itself over a window."""
    lateness = held.tick_lateness_ms
    ticks = ServerTicks(
        count=sent,
        skipped_ticks=skipped,
        overruns=0,
        start_lateness_ms=lateness,
        compute_ms=lateness,
        fanout_ms=lateness,
    )
    return ServerFigures(cpu_percent=cpu_percent, ticks=ticks, skipped_ticks=skipped)


@pytest.mark.parametrize("says", [{"skipped": 2}, {"cpu_percent": 97.5}, {"sent": 0, "skipped": 9}])
def test_a_server_that_says_itself_that_it_cannot_is_not_excused_by_the_generator(
    make_run: Callable[..., Run], held: LoadSummary, says: dict[str, Any]
) -> None:
    server = saying(held, **says)
    assert judged(make_run, held, server=server, validity=BEHIND, reach=0.5).outcome == "failed"
    assert judged(make_run, held, server=server, validity=BEHIND).outcome == "generator", "nothing is broken"


def test_what_is_not_said_for_certain_excuses_no_generator(make_run: Callable[..., Run], held: LoadSummary) -> None:
    def outcome(server: ServerFigures, **changes: object) -> StepOutcome:
        return judged(make_run, held, server=server, validity=BEHIND, reach=0.5, **changes).outcome

    assert outcome(saying(held, sent=36_000, skipped=1)) == "generator", "one of so many may be a chance"
    assert outcome(saying(held, sent=48, skipped=1)) == "generator", "and so may one in a slot"
    assert outcome(ServerFigures(skipped_ticks=90)) == "generator", "it is only what the generator did not see"
    many_cores = msgspec.structs.replace(held.machine, cpus_server=[0, 1, 2, 3])
    assert outcome(saying(held, cpu_percent=99.0), machine=many_cores) == "generator", "one of four cores"
    unpinned = msgspec.structs.replace(held.machine, cpus_server=None)
    assert outcome(saying(held, cpu_percent=99.0), machine=unpinned) == "generator"


def test_a_load_that_a_single_tick_failed_is_asked_again(make_run: Callable[..., Run], held: LoadSummary) -> None:
    one = msgspec.structs.replace(held.frames, due_times=120, due_times_missed=1)
    two = msgspec.structs.replace(held.frames, due_times=120, due_times_missed=2)
    assert judged(make_run, held, frames=one, reach=119 / 120).outcome == "unclear"
    assert judged(make_run, held, frames=two, reach=118 / 120).outcome == "failed"
