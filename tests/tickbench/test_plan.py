from collections import Counter

import msgspec

from tickbench.plan import estimate_s, make_plan
from tickbench.suite import Suite, load_suite


def names(suite: Suite) -> list[str]:
    return [planned.arm.name for planned in make_plan(suite)]


def test_every_arm_runs_once_a_block_and_numbers_count_from_one() -> None:
    suite = load_suite("quick")
    plan = make_plan(suite)
    assert [planned.number for planned in plan] == list(range(1, 9))
    for block in (1, 2):
        assert Counter(planned.arm.name for planned in plan if planned.block == block) == Counter(suite.arms)


def test_a_block_is_the_mirror_of_the_one_before_it() -> None:
    order = names(msgspec.structs.replace(load_suite("quick"), repeats=4))
    assert order[:4] == order[4:8][::-1]
    assert order[8:12] == order[12:][::-1]


def test_the_order_comes_from_the_seed() -> None:
    suite = load_suite("quick")
    assert names(suite) == names(suite)
    orders = {tuple(names(msgspec.structs.replace(suite, seed=seed))) for seed in range(20)}
    assert len(orders) > 5


def test_quick_is_estimated_under_its_ninety_seconds_or_so() -> None:
    suite = load_suite("quick")
    assert estimate_s(suite, len(make_plan(suite))) < 100
