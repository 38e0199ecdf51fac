"""The comparison of a page with the generator can fail: what is planted in either is seen."""

import random

import numpy as np
import pytest

from tests.support.tick_watch import COMMON, HANDLED_MS, Seen, Told, compare

TICKS = range(1000, 1400)


Generator = dict[int, tuple[float, float]]


def watched() -> tuple[Seen, Generator]:
    """Return what a page and the generator saw of ticks that were late by 1 to 30 ms, where the page draws at times."""
    chance = random.Random("watched")
    late = {n: 1 + chance.expovariate(1 / 3) for n in TICKS}
    page = {n: ms + 0.3 + chance.choice((0, 0, 0.1, 0.2, 6)) for n, ms in late.items()}
    return seen(page), {n: (ms - 0.02, ms) for n, ms in late.items()}


def seen(lateness_ms: dict[int, float], *, half_width_ms: float = 0.4, delay_ms: float = 0.3) -> Seen:
    return Seen(lateness_ms, half_width_ms, delay_ms)


def test_two_that_saw_the_same_agree() -> None:
    agreement = compare(*watched())
    assert agreement.holds
    assert agreement.ticks == len(TICKS)
    assert agreement.median == pytest.approx(0.4)
    assert agreement.width == pytest.approx(0.02)
    assert agreement.p95 > 6


@pytest.mark.parametrize("shift_ms", [-5.0, 5.0, -2.0, 2.0])
def test_a_planted_shift_in_either_is_seen(shift_ms: float) -> None:
    page, generator = watched()
    of_page = compare(seen({n: late + shift_ms for n, late in page.lateness.items()}), generator)
    of_generator = compare(page, {n: (one + shift_ms, other + shift_ms) for n, (one, other) in generator.items()})
    assert not of_page.holds
    assert not of_generator.holds
    assert f"{of_page.median:+.2f} ms" in str(of_page)


def test_a_shift_of_more_than_half_of_the_ticks_is_seen() -> None:
    page, generator = watched()
    assert not compare(seen({n: late + 5 * (n % 5 < 3) for n, late in page.lateness.items()}), generator).holds


@pytest.mark.parametrize(
    ("late_ms", "holds"), [(3.1, True), (4.9, True), (5 + 2.9, True), (5 + 3.1, False), (0.1, True), (-0.1, False)]
)
def test_what_cannot_be_known_is_no_difference(late_ms: float, *, holds: bool) -> None:
    """Neither what happens between its neighbours, nor what its estimate leaves open, nor what its pings say."""
    told, lateness = dict.fromkeys(TICKS, (3.0, 5.0)), dict.fromkeys(TICKS, late_ms)
    assert compare(seen(lateness, half_width_ms=3 - HANDLED_MS), told).holds == holds
    assert compare(seen(lateness, half_width_ms=0.5, delay_ms=2.5), told).holds == holds


def test_ticks_are_compared_by_their_numbers() -> None:
    rising = {n: 10.0 * n for n in TICKS}
    told = {n: (late, late) for n, late in rising.items()}
    assert compare(seen(rising), told).holds
    assert not compare(seen({n + 1: late for n, late in rising.items()}), told).holds
    few = dict(list(rising.items())[: int(COMMON * len(TICKS)) - 1])
    with pytest.raises(AssertionError, match="the page saw 359 of 400 ticks"):
        compare(seen(few), told)
    with pytest.raises(AssertionError, match="0 of 0"):
        compare(seen(rising), {})


def test_a_place_is_between_the_last_who_entered_and_the_first() -> None:
    """Four connections, three ticks; in the last of these the round begins with the one that entered first."""
    entered_us = np.array([30, 10, 20, 40])
    us = {7: [700, 500, 600, 400], 8: [1300, 1100, 1200, 1050], 9: [300, 100, 200, 400]}
    rows = np.array([[connection, n, us[n][connection]] for connection in range(4) for n in us])
    told = Told(rows, entered_us)
    assert told.around() == {7: (0.4, 0.5), 8: (1.05, 1.1)}
    assert told.of_all() == {7: 0.55, 8: 1.15, 9: 0.25}
