from fractions import Fraction

import pytest

from tickbench.conformance import ticks
from tickbench.conformance.ticks import SeenTick

RATE_HZ = Fraction(30)
T0_US = 1_700_000_000_000_000


def sequence(*numbers: int, late_us: int = 100) -> list[SeenTick]:
    """Return ticks as a server has to make them."""
    due = [T0_US + n * 1_000_000 // RATE_HZ for n in numbers]
    return [SeenTick(n, at, at + late_us, at + late_us + 300, f"tick {n}") for n, at in zip(numbers, due, strict=True)]


def test_a_sound_sequence_has_no_flaw() -> None:
    seen = sequence(*range(100, 140))
    assert ticks.numbers_flaw(seen) is None
    assert ticks.jump_flaw(seen) is None
    assert ticks.skips(seen) is None
    assert ticks.grid_flaw(seen, RATE_HZ) is None
    assert ticks.grid_flaw(seen, None) is None
    assert ticks.sent_flaw(seen) is None
    assert ticks.arrival_flaw(seen, same_host=True) is None
    assert ticks.arrival_note(seen) is None
    assert ticks.bytes_flaw(seen, seen) is None
    assert not ticks.is_seldom(seen)


@pytest.mark.parametrize("numbers", [(5, 5), (5, 4), (1, 2, 3, 3, 4)])
def test_n_must_grow(numbers: tuple[int, ...]) -> None:
    assert "came behind" in str(ticks.numbers_flaw(sequence(*numbers)))


def test_skipped_due_times_are_counted_and_no_flaw() -> None:
    seen = sequence(1, 2, 3, 6, 7)
    assert ticks.jump_flaw(seen) is None
    assert ticks.skips(seen) == "2 of 7 due times were skipped"


def test_a_jump_within_one_period_is_a_flaw() -> None:
    seen = sequence(1, 2, 3, 4, 5)
    seen[3:] = [tick._replace(n=tick.n + 7) for tick in seen[3:]]
    assert "1.0 periods later" in str(ticks.jump_flaw(seen))


@pytest.mark.parametrize("rate_hz", [RATE_HZ, None])
def test_a_due_time_off_the_grid_is_named(rate_hz: Fraction | None) -> None:
    seen = sequence(*range(10))
    seen[4] = seen[4]._replace(due_us=seen[4].due_us + 50)
    flaw = ticks.grid_flaw(seen, rate_hz)
    assert str(seen[4]) in str(flaw)
    assert "50 us off" in str(flaw)


def test_a_told_rate_is_held_to_the_microsecond() -> None:
    seen = sequence(*range(10))
    seen[4] = seen[4]._replace(due_us=seen[4].due_us + 1)
    assert ticks.grid_flaw(seen, RATE_HZ)
    assert ticks.grid_flaw(seen, None) is None


def test_the_rate_is_known_from_due_times() -> None:
    assert ticks.rate_of(sequence(*range(50))) == pytest.approx(30, rel=1e-5)
    assert ticks.rate_of(sequence(3)) is None


def test_a_frame_is_not_built_before_it_is_due() -> None:
    assert "200 us before due_us" in str(ticks.sent_flaw(sequence(1, 2, late_us=-200)))


@pytest.mark.parametrize(
    ("shift_us", "same_host", "other_host"),
    [
        (0, False, False),
        (-5_000, True, False),
        (5_000_000, True, False),
        (90_000_000, True, True),
        (-T0_US, True, True),
    ],
)
def test_an_arrival_far_from_its_sending(shift_us: int, *, same_host: bool, other_host: bool) -> None:
    seen = [tick._replace(at_us=tick.at_us + shift_us) for tick in sequence(1, 2, 3)]
    assert bool(ticks.arrival_flaw(seen, same_host=True)) is same_host
    assert bool(ticks.arrival_flaw(seen, same_host=False)) is other_host


def test_one_late_arrival_is_a_busy_machine() -> None:
    seen = sequence(1, 2, 3)
    seen[1] = seen[1]._replace(at_us=seen[1].at_us + 5_000_000)
    assert ticks.arrival_flaw(seen, same_host=True) is None


def test_clocks_that_are_apart_are_noted() -> None:
    seen = [tick._replace(at_us=tick.at_us + 3_000_000) for tick in sequence(1, 2)]
    assert "3.0 s apart" in str(ticks.arrival_note(seen))


def test_different_bytes_are_found_among_common_ticks() -> None:
    ours, theirs = sequence(1, 2, 3), sequence(2, 3, 4)
    assert ticks.bytes_flaw(ours, theirs) is None
    theirs[1] = theirs[1]._replace(text="other bytes")
    assert ticks.bytes_flaw(ours, theirs) == "tick 3 and other bytes"
    assert "no tick came to both" in str(ticks.bytes_flaw(ours, []))


def test_frames_are_seldom_only_where_nothing_was_late() -> None:
    assert ticks.is_seldom(sequence(0, 3, 6, 9, 12))
    assert not ticks.is_seldom(sequence(0, 3, 6, 9, 12, late_us=90_000))
    assert not ticks.is_seldom(sequence(0, 1, 2, 3, 9))
