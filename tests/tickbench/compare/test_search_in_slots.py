"""The search in slots: simulated servers whose figures scatter, and what a search of them costs."""

import math
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import pytest

from shared.measure.summary import LoadSummary, ServerFigures, Validity
from tickbench.compare.runs import Run
from tickbench.compare.search import NEEDED_BREAKS, NEEDED_HOLDS, Capacity, SearchStep, judge_step, next_step, raised
from tickbench.compare.suite import CapacitySearch, load_suite

SEARCH = CapacitySearch(
    "arena",
    "steady",
    5,
    2,
    "tick_lateness_ms.p99<=25",
    budget_s=55,
    start=1_000,
    limit=12_000,
    precision=1.1,
    slot_s=2,
)
OPENING_S, SETTLED_S, SLOT_S, RAMP_RATE = 3.6, 1.0, 3.3, 1_700
"""What a server and its warm-up take, another load beside its users, and a slot, as seen; the users a second."""


@dataclass
class Server:
    """One whose p99 grows with its load up to the bound at ``capacity``; each process is another, each slot noisy."""

    capacity: float
    rng: random.Random
    process_sd: float = 0.02
    slot_sd: float = 0.05
    bursts: float = 0.03
    """Share of the slots in which something unseen makes ticks late."""
    speeds: float = 1.0
    """How many times faster the machine is at times; before one slot of eight it changes."""
    steps: list[SearchStep] = field(default_factory=list)
    spent_s: float = 0.0
    _load: int = 0
    _own: float = 0.0
    _is_fast: bool = False

    def measure(self, load: int) -> SearchStep:
        """Measure one load, on the server that runs if there is one."""
        if not self._load:
            self.spent_s += OPENING_S
            self._own = self.capacity * math.exp(self.rng.gauss(0, self.process_sd))
        elif load != self._load:
            self.spent_s += SETTLED_S
        self.spent_s += abs(load - self._load) / RAMP_RATE + SLOT_S
        self._load = load
        self._is_fast ^= self.rng.random() < 1 / 8
        p99_ms = 25 * load / self._own * math.exp(self.rng.gauss(0, self.slot_sd))
        p99_ms *= self.speeds ** (-0.5 if self._is_fast else 0.5)
        if self.rng.random() < self.bursts:
            p99_ms *= 2
        return SearchStep(load, "failed" if p99_ms > 25 else "held", headroom=25 / p99_ms)

    def search(self, search: CapacitySearch = SEARCH) -> Capacity:
        """Search it to the end."""
        while isinstance(found := next_step(search, self.steps, self.spent_s), int):
            self.steps.append(self.measure(found))
            assert len(self.steps) < 60
        return found


AROUND = [*[SearchStep(920, "held")] * 3, *[SearchStep(1_100, "failed")] * 2]
"""What is known around a load of 1,000."""


def quiet(capacity: float) -> Server:
    return Server(capacity, random.Random(1), process_sd=0, slot_sd=0, bursts=0)


def test_it_goes_where_the_figures_say_that_the_bound_is_and_asks_both_bounds_again() -> None:
    server = quiet(2_900)
    found = server.search()
    assert [each.connections for each in server.steps] == [1_000, 2_600, 2_850, 3_100, 3_100, 2_850, 2_850]
    assert found == Capacity(2_850, 3_100, "arm", 2)


@pytest.mark.parametrize("capacity", [10, 57, 300, 900, 2_300, 3_400, 6_100, 11_000])
def test_a_quiet_server_is_bracketed_to_a_tenth(capacity: int) -> None:
    server = quiet(capacity)
    found = server.search(msgspec.structs.replace(SEARCH, budget_s=1_000))
    assert found.limited_by == "arm"
    assert found.connections is not None
    assert found.failed_at is not None
    assert found.connections <= capacity < found.failed_at <= max(found.connections * 1.1, found.connections + 1)
    held, failed = (
        [each.outcome for each in server.steps if each.connections == load]
        for load in (found.connections, found.failed_at)
    )
    assert held == ["held"] * NEEDED_HOLDS
    assert failed in (["failed"] * NEEDED_BREAKS, ["failed"] * (NEEDED_BREAKS + 1))
    assert len(server.steps) <= 16


@pytest.mark.parametrize(
    ("speeds", "capacity", "bracketed", "least", "most"),
    [
        *[(1.0, capacity, 0.85, 0.78, 1.1) for capacity in (300, 900, 2_300, 3_400, 6_100, 9_000)],
        *[(1.4, capacity, 0.6, 0.65, 1.35) for capacity in (900, 3_400, 6_100)],
    ],
)
def test_noisy_servers_are_bracketed_in_time(
    speeds: float, capacity: int, bracketed: float, least: float, most: float
) -> None:
    servers = [Server(capacity, random.Random(seed), speeds=speeds) for seed in range(200)]
    found = [server.search() for server in servers]
    exact = [each.connections for each in found if each.limited_by == "arm" and each.connections is not None]
    assert len(exact) >= bracketed * len(found)
    assert all(least <= each / capacity <= most for each in exact)
    assert statistics.mean(server.spent_s for server in servers) <= 55
    assert max(server.spent_s for server in servers) <= 2 * SEARCH.budget_s
    assert max(len(server.steps) for server in servers) <= 30
    lower = [each.connections or 0 for each in found if each.limited_by == "budget"]
    assert all(each >= 0.5 * capacity for each in lower)


def test_two_tries_agree_to_a_tenth() -> None:
    found = [Server(3_400, random.Random(seed)).search() for seed in range(200)]
    exact = [each.connections for each in found if each.limited_by == "arm" and each.connections is not None]
    alike = [max(pair) / min(pair) <= 1.1 for pair in zip(exact[::2], exact[1::2], strict=False)]
    assert statistics.mean(alike) >= 0.85


def test_one_burst_decides_nothing() -> None:
    steps = [SearchStep(1_000, "held", headroom=2.0), SearchStep(1_850, "failed", headroom=0.5)]
    assert next_step(SEARCH, steps, 10) == 1_500, "what broke is left, and is no bound before it broke again"
    near = [*steps, *[SearchStep(1_700, "held", headroom=1.2)] * 3]
    assert next_step(SEARCH, near, 25) == 1_850
    assert next_step(SEARCH, [*near, *[SearchStep(1_850, "held", headroom=1.1)] * 2], 30) == 2_000
    assert next_step(SEARCH, [*near, SearchStep(1_850, "failed", headroom=0.9)], 30) == 1_850, "1,700 said it holds"
    assert next_step(SEARCH, [*near, *[SearchStep(1_850, "failed")] * 2], 30) == Capacity(1_700, 1_850, "arm", 2)


def test_where_nothing_holds_that_is_known_after_two_slots_of_one() -> None:
    server = quiet(0.5)
    assert server.search().words == "under 1"
    assert [each.connections for each in server.steps][-2:] == [1, 1]
    late = next_step(SEARCH, [SearchStep(1_000, "failed", headroom=0.2)], SEARCH.budget_s + 1)
    assert late == 1_000, "one slot says nothing"


def test_between_bounds_whose_figures_do_not_say_where_the_bound_is_it_halves() -> None:
    full = [SearchStep(1_000, "held", headroom=0.98), SearchStep(4_000, "failed", headroom=0.1)]
    assert next_step(SEARCH, full, 10) == 2_000
    refused = [SearchStep(1_000, "held", headroom=50.0), SearchStep(4_000, "failed", headroom=20.0)]
    assert next_step(SEARCH, refused, 10) == 2_000
    assert next_step(SEARCH, refused[1:], 10) == 2_000


def test_when_the_budget_is_spent_what_holds_is_confirmed() -> None:
    steps = [SearchStep(1_000, "held", headroom=2.0), SearchStep(1_200, "failed", headroom=0.9)]
    assert next_step(SEARCH, steps, SEARCH.budget_s) == 1_000
    found = next_step(SEARCH, [*steps, *[SearchStep(1_000, "held")] * 2], SEARCH.budget_s)
    assert isinstance(found, Capacity)
    assert found.words == ">= 1,000 (not 1,200; budget-limited)"


def test_a_bound_far_from_the_other_is_not_confirmed_but_raised_and_that_ends_too() -> None:
    held, failed = SearchStep(1_000, "held", headroom=5.0), [SearchStep(5_750, "failed", headroom=0.75)] * 2
    assert next_step(SEARCH, [held, *failed], SEARCH.budget_s) == 4_400
    nearer = [held, *failed, SearchStep(4_800, "held", headroom=1.1)]
    assert next_step(SEARCH, nearer, SEARCH.budget_s) == 4_800
    found = next_step(SEARCH, [*nearer, *nearer[-1:] * 2], SEARCH.budget_s)
    assert isinstance(found, Capacity)
    assert found.words == ">= 4,800 (not 5,750; budget-limited)"
    assert next_step(SEARCH, [held, *failed], 1.9 * SEARCH.budget_s) == 1_000, "no time to raise and to confirm"
    assert isinstance(next_step(SEARCH, [held, *failed], 2 * SEARCH.budget_s), Capacity)


def test_what_cannot_be_trusted_is_asked_again_at_once() -> None:
    steps = [SearchStep(1_000, "held", headroom=2.0), SearchStep(1_850, "unclear")]
    assert next_step(SEARCH, steps, 10) == 1_850
    assert next_step(SEARCH, [*steps, SearchStep(1_850, "unclear")], 15) == 1_350, "twice is too much, by whatever"


def test_what_broke_may_hold_later_and_then_it_goes_on() -> None:
    steps = [*[SearchStep(1_000, "held")] * 3, SearchStep(1_100, "failed")]
    holds = [SearchStep(1_100, "held", headroom=1.02)] * 2
    assert next_step(SEARCH, steps, 30) == 1_100
    assert next_step(SEARCH, [*steps, *holds[:1]], 34) == 1_100, "it broke as often"
    assert next_step(SEARCH, [*steps, *holds], 34) == 1_200
    assert next_step(SEARCH, [*steps, SearchStep(1_100, "failed")], 34) == Capacity(1_000, 1_100, "arm", 2)


@pytest.mark.parametrize(
    ("seen", "result"),
    [
        ("HHH", Capacity(1_000, 1_100, "arm", 2)),
        ("HFHHH", Capacity(1_000, 1_100, "arm", 3, breaks=1)),
        ("HFHH", 1_000),
        ("HF", 1_000),
        ("F", 1_000),
        ("HFFHFH", Capacity(920, 1_000, "arm", 2)),
        ("HFHF", Capacity(920, 1_000, "arm", 2)),
        ("FHF", Capacity(920, 1_000, "arm", 2)),
    ],
)
def test_a_capacity_held_clearly_more_often_than_it_broke(seen: str, result: int | Capacity) -> None:
    steps = [SearchStep(1_000, "held" if each == "H" else "failed") for each in seen]
    assert next_step(SEARCH, [*AROUND, *steps], 30) == result


@pytest.mark.parametrize(
    ("holds_in", "confirmed"), [(0.2, 0.013), (0.4, 0.125), (0.5, 0.25), (0.6, 0.42), (0.8, 0.805), (0.95, 0.986)]
)
def test_how_often_a_load_that_holds_in_some_slots_is_confirmed(holds_in: float, confirmed: float) -> None:
    rng = random.Random(20)
    found = []
    for _ in range(800):
        step: int | Capacity = 1_000
        steps = [*AROUND]
        while step == 1_000:
            steps.append(SearchStep(1_000, "held" if rng.random() < holds_in else "failed"))
            step = next_step(SEARCH, steps, 30)
        assert isinstance(step, Capacity)
        found.append(step.connections == 1_000)
    assert statistics.mean(found) == pytest.approx(confirmed, abs=0.045)


def test_it_says_how_often_a_capacity_held() -> None:
    assert Capacity(1_000, 1_100, "arm", 2).held_words == "held 3 times"
    assert Capacity(1_000, 1_100, "arm", 3, breaks=1).held_words == "held 4 times of 5"
    assert Capacity(None, 1, "arm", 0).held_words == ""


def test_what_the_generator_or_the_machine_spoiled_is_none_of_the_arm_s_doing() -> None:
    steps = [SearchStep(1_000, "held", headroom=4.0)]
    for outcome, tries, limit in (("generator", 2, "generator"), ("lost", 2, "generator"), ("spoiled", 3, "machine")):
        beyond = [SearchStep(2_800, outcome)]  # type: ignore[arg-type] # one of the outcomes
        if tries > 1:
            assert next_step(SEARCH, [*steps, *beyond], 10) == 2_800
        found = next_step(SEARCH, [*steps, *beyond * tries, *steps * 2], spent_s=2 * SEARCH.budget_s)
        assert found == Capacity(1_000, 2_800, limit, 2)  # type: ignore[arg-type] # as above


def test_loads_are_raised_in_halves_of_the_second_digit() -> None:
    assert [raised(load, 1.1) for load in (1, 9, 10, 57, 100, 1_050, 2_800, 3_000)] == [
        *(2, 10, 11, 62, 110, 1_150, 3_050, 3_300)
    ]


def test_how_far_a_load_is_from_too_much_is_read_from_the_nearest_figure(
    make_run: Callable[..., Run], summary: LoadSummary
) -> None:
    def headroom(p99: float, cpu_percent: float | None, cores: list[int] | None) -> float | None:
        load = msgspec.structs.replace(
            summary,
            tick_lateness_ms=msgspec.structs.replace(summary.tick_lateness_ms, p99=p99),
            server=ServerFigures(cpu_percent=cpu_percent),
            machine=msgspec.structs.replace(summary.machine, cpus_server=cores),
            validity=Validity.of([], []),
        )
        return judge_step(SEARCH, make_run(1, "gevent", load=load)).headroom

    assert headroom(5.0, 19.0, [0]) == 25 / 5
    assert headroom(5.0, 48.5, [0]) == 97 / 48.5
    assert headroom(5.0, 97.0, [0, 1]) == 25 / 5, "of two cores it may be the half"
    assert headroom(5.0, None, None) == 25 / 5


@pytest.mark.parametrize("name", ["default", "full"])
def test_the_suites_search_in_slots_to_a_tenth(name: str) -> None:
    assert {(search.precision, search.slot_s > 0) for search in load_suite(name).searches} == {(1.1, True)}
