"""How long a newcomer lives among bots at the speed that servers have by default, and what is left of the dead."""

import random
import statistics
from collections.abc import Callable

import pytest

from shared.game.commands import Command, Join, Leave, Turn
from shared.game.snake import KEYS, Snake
from shared.game.world import World
from shared.server.config import parse_arguments

SEEDS, LIVES = 8, 20
WARM_UP_S, LONGEST_LIFE_S = 60, 60
FIRST_ID = 6
"""Behind those of the five bots."""

Player = Callable[[random.Random, int, Snake], list[Command]]
"""What a player does before a step, the n-th of its life."""


def open_world(seed: int, bots: int) -> tuple[World, int]:
    """Return a room as ``tickbench serve asyncio --bots N`` has it after a while, and its steps a second."""
    config = parse_arguments("asyncio", ["--bots", str(bots)])
    rate = int(config.tick_rate_hz)
    world = World(config.rules, random.Random(f"{seed}/main"))
    for _ in range(WARM_UP_S * rate):
        world.step()
    return world, rate


def press_nothing(_rng: random.Random, _n: int, _snake: Snake) -> list[Command]:
    return []


def turn_once_a_second(rng: random.Random, n: int, snake: Snake) -> list[Command]:
    """Turn left or right without a look."""
    if n % 20:
        return []
    dx, dy = snake.direction
    return [Turn(snake.player_id, KEYS[rng.choice([(dy, -dx), (-dy, dx)])])]


def lives_s(player: Player, bots: int) -> list[float]:
    """Let one newcomer after the other play in some rooms."""
    lives = []
    for seed in range(SEEDS):
        world, rate = open_world(seed, bots)
        rng = random.Random(seed)
        for player_id in range(FIRST_ID, FIRST_ID + LIVES):
            world.step([Join(player_id, "newcomer")])
            while not world.snakes[player_id].born:
                world.step()
            n = rng.randrange(rate)  # when in a second its keys come
            before = n
            while player_id in world.snakes and n - before < LONGEST_LIFE_S * rate:
                world.step(player(rng, n, world.snakes[player_id]))
                n += 1
            world.step([Leave(player_id)])
            lives.append((n - before) / rate)
    return lives


@pytest.mark.parametrize("bots", [0, 5])
@pytest.mark.parametrize(("player", "least_s"), [(press_nothing, 4), (turn_once_a_second, 15)])
def test_a_newcomer_lives_long_enough_to_learn_the_game(player: Player, least_s: float, bots: int) -> None:
    assert statistics.median(lives_s(player, bots)) > least_s


@pytest.mark.parametrize("seed", range(4))
def test_the_dead_do_not_fill_the_field(seed: int) -> None:
    """Of 1,250 cells 926 were theirs after 150 s with five bots, when they stayed to the end of the round."""
    world, rate = open_world(seed, bots=5)
    taken = []
    for _ in range(90):
        for _ in range(rate):
            world.step()
        taken.append(sum(cell.char in "x@+" and cell.color == 0 for cell in world.cells.values()))
    assert statistics.mean(taken) < 25
    assert max(taken) < 300, "that of two or three long ones who died together"
