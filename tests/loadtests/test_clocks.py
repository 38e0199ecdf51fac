from itertools import count

import pytest

from loadtests.clocks import OffsetWatch, boot_id


class Clocks:
    """A monotonic clock that goes on by a microsecond with each reading, and a wall clock beside it."""

    def __init__(self) -> None:
        self._ticks = count(1_000_000_000, 1000)
        self.offset_ns = 1_700_000_000_000_000_000

    def monotonic_ns(self) -> int:
        return next(self._ticks)

    def wall_ns(self) -> int:
        return next(self._ticks) + self.offset_ns


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def watch(clocks: Clocks) -> OffsetWatch:
    return OffsetWatch(clocks.wall_ns, clocks.monotonic_ns)


def test_the_offset_is_that_of_the_two_clocks(watch: OffsetWatch) -> None:
    assert watch.offset_us == 1_700_000_000_000_000
    watch.sample()
    assert watch.step_us == 0


def test_the_correction_makes_the_server_s_time_of_ours(watch: OffsetWatch) -> None:
    assert watch.correction_us(1_700_000_000_000_250) == 250
    assert watch.correction_us(None) == 0


def test_a_step_changes_the_correction_and_is_remembered(clocks: Clocks, watch: OffsetWatch) -> None:
    for step_us in (50, -50, 2000, -500):
        clocks.offset_ns += step_us * 1000
        watch.sample()
    assert watch.step_us == 2000
    assert watch.correction_us(1_700_000_000_000_000) == -1500


def test_the_quickest_reading_counts(clocks: Clocks) -> None:
    delays = iter([5_000_000, 0, 7_000_000, 9_000_000, 1_000_000])

    def wall_ns() -> int:
        delay = next(delays)
        now = clocks.wall_ns()
        for _ in range(delay // 1000):
            clocks.monotonic_ns()
        return now

    assert OffsetWatch(wall_ns, clocks.monotonic_ns).offset_us == 1_700_000_000_000_000


def test_this_host_has_a_boot_id_or_none() -> None:
    assert boot_id() == boot_id()
