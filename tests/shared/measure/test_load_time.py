import pytest

from shared.measure.load_time import WEIGHING_S, load_time_s


@pytest.mark.parametrize(("spawn_rate", "ramp_s"), [(500, 20), (10, 1000)])
def test_a_slow_ramp_takes_its_time(spawn_rate: float, ramp_s: float) -> None:
    takes_s = load_time_s(10_000, spawn_rate=spawn_rate, warm_up_s=2, duration_s=10, extra_connections=0)
    assert takes_s == ramp_s + 12


def test_a_weighing_has_a_ramp_of_its_own() -> None:
    one, other = (load_time_s(500, warm_up_s=2, duration_s=10, extra_connections=extra) for extra in (0, 1000))
    assert other - one == WEIGHING_S + 2
