from hypothesis import given
from hypothesis import strategies as st

from shared.game.snake import DIRECTIONS, DOWN, KEYS, LEFT, MAX_WAITING_TURNS, RIGHT, UP, Direction, Snake


def lying(direction: Direction) -> Snake:
    snake = Snake(1, "ann")
    snake.direction = direction
    snake.body.extend([(2, 0), (1, 0), (0, 0)])
    return snake


def test_the_keys_are_those_of_a_browser() -> None:
    assert DIRECTIONS == {37: (-1, 0), 38: (0, -1), 39: (1, 0), 40: (0, 1)}
    assert tuple(DIRECTIONS.values()) == (LEFT, UP, RIGHT, DOWN)
    assert {KEYS[direction]: direction for direction in KEYS} == DIRECTIONS


def test_the_same_direction_and_straight_back_are_dropped() -> None:
    for direction in (LEFT, UP, RIGHT, DOWN):
        snake = lying(direction)
        dx, dy = direction
        snake.turn(direction)
        snake.turn((-dx, -dy))
        assert snake.turns == []


def test_a_turn_is_measured_against_the_last_waiting_one() -> None:
    snake = lying(RIGHT)
    snake.turn(UP)
    snake.turn(DOWN)  # straight back, seen from UP
    snake.turn(UP)  # the same
    snake.turn(LEFT)  # no longer straight back
    assert snake.turns == [UP, LEFT]


def test_a_third_turn_is_dropped() -> None:
    snake = lying(RIGHT)
    for turn in (UP, LEFT, DOWN):
        snake.turn(turn)
    assert snake.turns == [UP, LEFT]
    snake.turns.pop(0)
    snake.turn(DOWN)
    assert snake.turns == [LEFT, DOWN]


def test_who_is_not_born_does_not_turn() -> None:
    snake = Snake(1, "ann")
    snake.turn(UP)
    assert (snake.born, snake.turns) == (False, [])


@given(st.sampled_from([LEFT, UP, RIGHT, DOWN]), st.lists(st.sampled_from([LEFT, UP, RIGHT, DOWN, None]), max_size=30))
def test_no_keys_turn_a_snake_into_its_own_neck(start: Direction, keys: list[Direction | None]) -> None:
    """A key, or None for a step: whatever comes, each step's direction is at right angles to the last or the same."""
    snake = lying(start)
    for key in keys:
        if key:
            snake.turn(key)
            assert len(snake.turns) <= MAX_WAITING_TURNS == 2
        elif snake.turns:
            (old_x, old_y), (x, y) = snake.direction, snake.turns[0]
            assert old_x * x + old_y * y == 0
            snake.direction = snake.turns.pop(0)
