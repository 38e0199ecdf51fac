import random

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.game.bots import SIGHT, Bot
from shared.game.changes import PlayerDied
from shared.game.commands import Join, Turn
from shared.game.search import LookAt, open_run
from shared.game.snake import DIRECTIONS, KEYS, Direction, Snake
from shared.game.world import Rules, World
from tests.shared.game.scripted import DOWN, LEFT, RIGHT, UP, Game, ahead

ALL: tuple[Direction, ...] = tuple(DIRECTIONS.values())


def bot_and_snake(game: Game, player_id: int = 1) -> tuple[Bot, Snake, LookAt]:
    """Return a bot that is to wander, as it gets no steps to search in, the snake, and what it sees."""
    return Bot(player_id), game.snake(1), game.world.look


def test_it_joins_under_its_own_name() -> None:
    assert Bot(3).join() == Join(3, "bot 3")


def test_a_run_goes_up_to_a_border_or_an_obstacle() -> None:
    game = Game(rules=Rules(20, 11))
    game.put("#", 8, 5)
    look = game.world.look
    assert open_run(look, (5, 5), (1, 0), 6) == 2
    assert open_run(look, (5, 5), (-1, 0), 6) == 5
    assert open_run(look, (5, 5), (0, -1), 6) == 5
    assert open_run(look, (5, 5), (0, 1), 3) == 3
    assert open_run(look, (19, 10), (1, 0), 6) == 0
    assert open_run(look, (19, 10), (0, 1), 6) == 0


def test_food_is_open_and_all_else_is_not() -> None:
    game = Game((10, 10, RIGHT))
    for x, char in enumerate("#x@+%*>G"):
        game.put(char, x, 0)
    game.put("19", 0, 1)
    assert [game.world.look((x, 0)) for x in range(8)] == [-1] * 8
    assert [game.world.look((x, 1)) for x in range(3)] == [1, 9, 0]


def test_it_goes_straight_on_while_it_can() -> None:
    bot, snake, look = bot_and_snake(Game((10, 10, RIGHT)))
    assert [bot.steer(snake, look, 0) for _ in range(bot.wander_every - 1)] == [None] * (bot.wander_every - 1)


def test_it_turns_where_there_is_more_room() -> None:
    game = Game((10, 10, RIGHT))
    game.put("#", 13, 10)
    game.put("#", 12, 7)
    bot, snake, look = bot_and_snake(game)
    assert bot.steer(snake, look, 0) == Turn(1, DOWN)
    game.put("#", 12, 12)
    assert bot.steer(snake, look, 0) == Turn(1, UP)


def test_it_turns_into_a_lane_of_one_cell_rather_than_into_a_wall() -> None:
    game = Game((10, 10, UP))
    game.put("# #", 9, 7)
    game.put("#", 9, 8)
    game.put("#", 12, 8)
    game.put("#", 10, 7)
    bot, snake, look = bot_and_snake(game)
    assert bot.steer(snake, look, 0) == Turn(1, RIGHT)


def test_where_both_sides_are_alike_odd_ones_go_left_and_even_ones_right() -> None:
    game = Game((25, 12, RIGHT))
    game.put("#", 28, 12)
    turns = [bot.steer(snake, look, 0) for bot, snake, look in (bot_and_snake(game, number) for number in (1, 2))]
    assert turns == [Turn(1, UP), Turn(2, DOWN)]


def test_it_wanders_now_and_then_but_only_where_there_is_room() -> None:
    bot, snake, look = bot_and_snake(Game((25, 12, RIGHT)))
    turns = [bot.steer(snake, look, 0) for _ in range(3 * bot.wander_every)]
    assert [step % bot.wander_every for step, turn in enumerate(turns, 1) if turn] == [0, 0, 0]
    game = Game((25, 12, RIGHT))
    game.put("#", 27, 12 - SIGHT)
    game.put("#", 27, 12 + SIGHT)
    bot, snake, look = bot_and_snake(game)
    assert [bot.steer(snake, look, 0) for _ in range(20)] == [None] * 20


def test_bots_born_together_do_not_all_wander_at_once() -> None:
    assert len({Bot(number).wander_every for number in range(1, 11)}) > 3


@given(st.integers(0, 10_000), st.sampled_from([Rules(20, 11, bots=1), Rules(50, 25, bots=1), Rules(30, 30, bots=5)]))
@settings(max_examples=25)
def test_a_bot_dies_only_where_it_had_no_way_out(seed: int, rules: Rules) -> None:
    world = World(rules, random.Random(seed))
    for _ in range(200):
        snakes = list(world.snakes.values())
        # Others may take a cell before one's own turn comes: only the first to move knows what it will find.
        first = next((snake for snake in snakes if snake.born), None)
        ways = [open_run(world.look, first.body[0], direction, 1) for direction in ALL] if first else []
        changes = world.step().changes
        if first and PlayerDied(first.player_id) in changes:
            assert not any(ways)


def test_a_bot_never_turns_back() -> None:
    world = World(Rules(bots=1), random.Random(0))
    world.step()
    for _ in range(300):
        snake = world.snakes.get(1)
        if snake and snake.born:
            bot = Bot(1)
            bot.steps = bot.wander_every - 1
            turn = bot.steer(snake, world.look, 0)
            assert turn is None or (isinstance(turn, Turn) and abs(turn.key - KEYS[snake.direction]) in (1, 3))
        world.step()


def test_keys_point_where_ahead_says() -> None:
    game = Game((10, 10, RIGHT))
    assert [ahead(game.snake(1), key) for key in (LEFT, UP, RIGHT, DOWN)] == [(11, 10), (12, 9), (13, 10), (12, 11)]
