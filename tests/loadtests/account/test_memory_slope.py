"""Courses of resident memory of which it is known what a connection takes, as far as that can be known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtests.account.memory_slope import STEPS, Plateau, memory_figures, slope_of

if TYPE_CHECKING:
    from collections.abc import Callable

KIB = 1024
EACH = 22.7 * KIB
START = 45 * 2**20


def course(held: Callable[[int], float], up: int = 300, step: int = 100) -> list[Plateau]:
    """Return what is seen of a process that holds ``held(connections)`` bytes beside what it began with."""
    return [Plateau(count, round(START + held(count))) for count in range(up, up + STEPS * step + 1, step)]


def known(plateaus: list[Plateau]) -> float:
    value, figures = memory_figures(plateaus)
    assert value is not None, figures.why_not
    assert figures.low_bytes is not None
    assert figures.high_bytes is not None
    assert figures.low_bytes <= value <= figures.high_bytes
    return value


def why_not(plateaus: list[Plateau]) -> str:
    value, figures = memory_figures(plateaus)
    assert (value, figures.low_bytes, figures.high_bytes) == (None, None, None)
    assert figures.plateaus == [tuple(plateau) for plateau in plateaus]
    return figures.why_not


@pytest.mark.parametrize("up", [0, 300, 1000, 2000])
def test_a_straight_course_is_known_exactly(up: int) -> None:
    assert known(course(lambda count: EACH * count, up)) == pytest.approx(EACH, rel=1e-5)


@pytest.mark.parametrize("up", [300, 1000, 2000])
@pytest.mark.parametrize("free_bytes", [0, 1 * 2**20, 4 * 2**20, 6 * 2**20])
def test_what_was_free_on_the_heap_does_not_make_connections_lighter(up: int, free_bytes: int) -> None:
    """As compiling leaves it behind: a quotient says anything from 9 to 23 KiB here."""
    assert known(course(lambda count: max(0, EACH * count - free_bytes), up)) == pytest.approx(EACH, rel=0.01)


def test_what_a_busy_server_of_ours_showed_is_known() -> None:
    """Seen of asyncio, from 2,000 to 3,000 connections."""
    steps = [15.2, 15.0, 20.4, 15.5, 14.3, 16.8, 17.0, 20.8, 15.2, 16.2]
    assert known(course(lambda count: sum(steps[: (count - 2000) // 100]) * 100 * KIB, 2000)) == pytest.approx(
        15.9 * KIB, rel=0.03
    )


def test_what_a_heap_that_swallowed_a_part_of_three_steps_showed_is_not() -> None:
    """Seen of gevent without bytecode caches, from 300 connections on, before servers gave back what was free."""
    steps = [15.0, 15.1, 15.8, 17.0, 22.5, 22.7, 22.8, 22.9, 23.3, 23.6]
    words = why_not(course(lambda count: sum(steps[: (count - 300) // 100]) * 100 * KIB))
    assert words.startswith("steps of memory that differ too much")


def test_where_what_was_free_swallows_half_of_the_steps_it_is_not_known() -> None:
    words = why_not(course(lambda count: max(0, EACH * (count - 800))))
    assert words.startswith("steps of memory that differ too much")
    assert words.endswith("KiB a connection")


@pytest.mark.parametrize("up", [300, 1000, 2000])
def test_tables_that_double_stand_out_and_are_trimmed(up: int) -> None:
    """As asyncio's servers show them, three tables of 100 bytes an entry: 16 KiB, and up to 21 in one step."""

    def held(count: int) -> float:
        return 16 * KIB * count + 3 * 100 * (1 << (count * 3 // 2).bit_length())

    assert known(course(held, up)) == pytest.approx(16 * KIB, rel=0.01)


def test_pages_and_whatever_else_comes_and_goes_are_in_the_interval() -> None:
    noise = [0, 40_000, -60_000, 10_000, 0, -30_000, 50_000, 20_000, -20_000, 0, 30_000]
    plateaus = [
        Plateau(count, rss + more) for (count, rss), more in zip(course(lambda count: EACH * count), noise, strict=True)
    ]
    slope = slope_of(plateaus)
    assert slope.low < EACH < slope.high
    assert known(plateaus) == pytest.approx(EACH, rel=0.03)


def test_a_server_that_gives_memory_back_is_not_known() -> None:
    assert why_not(course(lambda count: 2**25 - EACH * count)) == "the more came, the less memory was held"


def test_what_was_not_seen_to_the_end_is_not_known() -> None:
    assert why_not(course(lambda count: EACH * count)[:-1]) == "too few steps were made"
    assert why_not([]) == "too few steps were made"


def test_as_many_as_came_left() -> None:
    plateaus = course(lambda count: EACH * count)
    assert why_not([*plateaus[:5], plateaus[4], *plateaus[5:]]) == "as many left as came"


def test_what_is_known_before_is_said() -> None:
    value, figures = memory_figures([], "nobody asked")
    assert (value, figures.why_not) == (None, "nobody asked")
