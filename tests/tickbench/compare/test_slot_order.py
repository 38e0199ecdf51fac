from collections import Counter
from itertools import pairwise, permutations

from hypothesis import given
from hypothesis import strategies as st

from tickbench.compare.block import block_order
from tickbench.compare.plan import fixed_runs
from tickbench.compare.slot_order import slot_order, tick_order
from tickbench.compare.suite import Suite

ARMS = st.integers(1, 12)
SLOTS = st.integers(1, 24)
SEEDS = st.integers(0, 1000)


def followers(*orders: list[int]) -> Counter[tuple[int, int]]:
    return Counter(pair for order in orders for pair in pairwise(order))


@given(ARMS, SLOTS, st.integers(1, 100), SEEDS)
def test_each_round_gives_every_arm_one_slot(arms: int, slots: int, block: int, seed: int) -> None:
    order = slot_order(arms, slots, block, seed)
    assert len(order) == arms * slots
    for start in range(0, len(order), arms):
        assert sorted(order[start : start + arms]) == list(range(arms))


@given(ARMS, SLOTS, st.integers(1, 50), SEEDS)
def test_each_arm_comes_as_often_directly_before_as_behind_every_other(
    arms: int, slots: int, pair: int, seed: int
) -> None:
    blocks = [slot_order(arms, slots, block, seed) for block in (2 * pair - 1, 2 * pair)]
    for orders in [blocks] if slots % 2 else [[block] for block in blocks]:  # over two blocks if a round is left over
        counts = followers(*orders)
        assert all(counts[one, other] == counts[other, one] for one, other in permutations(range(arms), 2))


@given(ARMS, st.integers(1, 6), SEEDS)
def test_and_as_often_near_each_as_near_any_other(arms: int, rounds: int, seed: int) -> None:
    order = slot_order(arms, 2 * arms * rounds, 1, seed)  # the rows of a whole design, and their mirrors
    counts = [followers(order)[pair] for pair in permutations(range(arms), 2)]
    within = 2 * rounds  # in the rows; where two rows meet, the pairs are others
    assert not counts or (min(counts) >= within and max(counts) <= within + 2 * rounds)


@given(st.integers(2, 12), SLOTS, SEEDS)
def test_a_machine_that_drifts_favours_no_arm(arms: int, slots: int, seed: int) -> None:
    blocks = [slot_order(arms, slots, block, seed) for block in (1, 2)]
    places = [sum(sum(at for at, arm in enumerate(order) if arm == each) for order in blocks) for each in range(arms)]
    assert len(set(places)) == 1


@given(st.integers(2, 8), st.integers(1, 9), SEEDS)
def test_so_it_is_of_the_runs_that_a_suite_plans(arms: int, slots: int, seed: int) -> None:
    """Whose own order is another in each block."""
    names = [f"asyncio:pad={pad}" for pad in range(arms)]
    suite = Suite("s", names, "steady", 10, 1.0 * slots, 1, repeats=2, seed=seed, slot_s=1, again=names[0])
    orders = []
    for block in (1, 2):
        planned = [each for each in fixed_runs(suite) if each.block == block]
        orders.append([(planned[at].arm.name, planned[at].again) for at in block_order(planned, seed)])
    counts = Counter(pair for order in orders for pair in pairwise(order))
    assert all(counts[one, other] == counts[other, one] for one, other in permutations(set(orders[0]), 2))
    assert len({sum(at for order in orders for at, arm in enumerate(order) if arm == each) for each in orders[0]}) == 1


def test_the_order_comes_from_the_seed_and_the_block() -> None:
    assert slot_order(6, 5, 1, 20) == slot_order(6, 5, 1, 20)
    assert slot_order(6, 5, 2, 20) == slot_order(6, 5, 1, 20)[::-1]
    assert len({tuple(slot_order(6, 10, block, seed)) for block in range(1, 5) for seed in range(5)}) > 15


@given(st.integers(2, 12), SEEDS)
def test_together_each_arm_ticks_behind_every_other_equally_often(arms: int, seed: int) -> None:
    orders = [tick_order(arms, block, seed) for block in range(1, arms * (1 + arms % 2) + 1)]
    assert all(sorted(order) == list(range(arms)) for order in orders)
    behind = Counter(
        (order[place - 1], order[place]) for order in orders for place in range(arms)
    )  # the last, the first
    counts = [behind[pair] for pair in permutations(range(arms), 2)]
    assert max(counts) - min(counts) <= 1
    assert min(counts) >= 1


def test_who_ticks_behind_whom_is_drawn_from_the_seed() -> None:
    assert len({tuple(tick_order(6, 1, seed)) for seed in range(20)}) > 10
