from collections.abc import Sequence

import pytest

from tickbench.machine.quiet import busy_percent, wait_until_quiet


class Looks:
    """A machine that is as busy as it is told, look by look."""

    def __init__(self, *busy: float) -> None:
        self.busy = list(busy)
        self.cores: list[Sequence[int] | None] = []

    def __call__(self, cores: Sequence[int] | None, during_s: float) -> float:  # noqa: ARG002 - as the real one
        self.cores.append(cores)
        return self.busy.pop(0) if len(self.busy) > 1 else self.busy[0]


def test_a_quiet_machine_is_not_waited_for() -> None:
    looks, told = Looks(1.04), list[str]()
    found = wait_until_quiet([0, 1], 20, told.append, looks)
    assert found is not None
    assert (found.is_quiet, found.busy_percent) == (True, 1.0)
    assert (looks.cores, told) == ([[0, 1]], [])


def test_a_busy_one_is_looked_at_again_and_it_is_said() -> None:
    looks, told = Looks(95, 50, 3), list[str]()
    found = wait_until_quiet([0], 20, told.append, looks)
    assert found is not None
    assert found.is_quiet
    assert told == [f"waiting for a quiet machine: a core is {busy} % busy" for busy in (95, 50)]


def test_the_wait_has_a_bound() -> None:
    found = wait_until_quiet([0], 1e-9, look=Looks(77))
    assert found is not None
    assert (found.is_quiet, found.busy_percent) == (False, 77)


def test_who_shall_not_wait_does_not_look() -> None:
    assert wait_until_quiet([0], 0, look=Looks(77)) is None


def test_a_core_of_this_machine_is_looked_at() -> None:
    assert 0 <= busy_percent(None, 0.05) <= 100
    assert 0 <= busy_percent([0], 0.05) <= 100


@pytest.mark.parametrize("cores", [[0], None])
def test_the_cores_that_are_asked_for_are_those_that_are_looked_at(cores: Sequence[int] | None) -> None:
    looks = Looks(0)
    wait_until_quiet(cores, 1, look=looks)
    assert looks.cores == [cores]
