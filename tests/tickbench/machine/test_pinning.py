import os

from tickbench.machine.pinning import Pinning, away_from_server, choose_cores


def test_server_and_generator_get_a_core_each() -> None:
    assert choose_cores([0, 1], lambda core: {core}) == Pinning([0], [1])


def test_two_threads_of_one_physical_core_are_avoided() -> None:
    assert choose_cores([0, 1, 2, 3], lambda core: {core & ~1, core | 1}) == Pinning([0], [2])


def test_the_server_has_as_many_as_it_is_to_have_and_none_beside_the_generator() -> None:
    def siblings(core: int) -> set[int]:
        return {core & ~1, core | 1}

    assert choose_cores([*range(8)], siblings, 3) == Pinning([0, 1, 4], [2])
    assert choose_cores([*range(8)], siblings, 0) == Pinning([0, 1, 4, 5, 6, 7], [2])
    assert choose_cores([0, 1], lambda core: {core}, 0) == Pinning([0], [1])


def test_where_they_cannot_be_avoided_it_is_said() -> None:
    pinning = choose_cores([0, 1], lambda _: {0, 1})
    assert (pinning.server, pinning.generator) == ([0], [1])
    assert "physical core" in str(pinning.warning)


def test_on_one_core_nothing_is_pinned_and_it_is_said() -> None:
    pinning = choose_cores([3], lambda core: {core})
    assert (pinning.server, pinning.generator) == (None, None)
    assert "one usable core" in str(pinning.warning)


def test_the_orchestrator_leaves_the_servers_core_and_comes_back() -> None:
    before = os.sched_getaffinity(0)
    pinning = choose_cores(sorted(before), lambda core: {core})
    with away_from_server(pinning):
        assert os.sched_getaffinity(0) == before - set(pinning.server or [])
    assert os.sched_getaffinity(0) == before
