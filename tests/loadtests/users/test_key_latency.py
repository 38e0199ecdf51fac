"""Which turn is taken for that of a key."""

import pytest

from loadtests.users.board import DIRECTIONS, Head
from loadtests.users.key_latency import KeyWatch

LEFT, UP, DOWN = 37, 38, 40
PRESSED_US = 1_000_000
PERIOD_US = 50_000


class Player:
    """Presses keys and sees its snake, a tick at a time."""

    def __init__(self, speed: float = 4.0) -> None:
        self.keys = KeyWatch(speed)
        self.head = Head((5, 5), (1, 0))
        self.n = 0

    @property
    def now_us(self) -> int:
        return PRESSED_US + self.n * PERIOD_US

    def press(self, key: int) -> None:
        self.keys.press(DIRECTIONS[key], self.now_us, self.n)

    def see(self, key: int | None = None, ticks: int = 1) -> int | None:
        """See some ticks, with the last of which the snake turned, or not; return what a key took, in ticks."""
        self.n += ticks
        if key is not None:
            self.head.direction, self.head.turned_n = DIRECTIONS[key], self.n
        took_us = self.keys.look(self.head, self.n, self.now_us)
        return None if took_us is None else took_us // PERIOD_US


def test_a_turn_is_measured_from_its_key() -> None:
    player = Player()
    player.press(UP)
    assert [player.see(), player.see(), player.see(UP), player.see()] == [None, None, 3, None]


def test_a_turn_from_before_the_key_is_not_its() -> None:
    player = Player()
    player.see(UP)
    player.press(UP)
    assert player.see() is None


def test_one_turn_may_have_waited_before_it() -> None:
    player = Player()
    player.press(UP)
    assert [player.see(LEFT), player.see(UP)] == [None, 2]


def test_a_key_that_was_dropped_is_not_measured_by_a_later_turn() -> None:
    player = Player()
    player.press(UP)
    assert [player.see(DOWN), player.see(LEFT), player.see(UP)] == [None, None, None]
    player.press(LEFT)
    assert player.see(LEFT) == 1


@pytest.mark.parametrize(("speed", "ticks"), [(4.0, 40), (0.5, 160)])
def test_a_key_that_shows_no_turn_is_given_up(speed: float, ticks: int) -> None:
    player = Player(speed)
    player.press(UP)
    player.see(ticks=ticks)
    player.press(UP)
    assert player.see(UP) == ticks + 1, "not yet"
    player.press(LEFT)
    player.see(ticks=ticks + 1)
    player.press(UP)
    assert player.see(UP) == 1


def test_a_death_ends_it() -> None:
    player = Player()
    player.press(UP)
    assert player.keys.look(None, 1, player.now_us) is None
    assert player.see(UP) is None
