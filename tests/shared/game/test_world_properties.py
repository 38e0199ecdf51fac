"""What holds in every game, whoever joins, turns and leaves when: on fields of every size, empty to full."""

import os
import random
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.game.changes import Change, PlayerDied
from shared.game.commands import Command, Join, Leave, Turn
from shared.game.world import Rules, Step, World
from shared.wire.messages import encode_commands, encode_world
from tests.shared.game.observer import Observer, Position
from tests.shared.game.plans import KEYS, PLAYERS, Plan, crowd, digest
from tests.shared.game.scripted import DOWN, LEFT, RIGHT, UP, Game
from tests.shared.opcodes import count_opcodes

COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(Join, st.sampled_from(PLAYERS), st.sampled_from(["ann", "bob", "eve"])),
    st.builds(Turn, st.sampled_from(PLAYERS), st.sampled_from(KEYS)),
    st.builds(Leave, st.sampled_from(PLAYERS)),
)
SPARSE = st.lists(st.lists(COMMANDS, max_size=3), max_size=60)
CROWDS = st.builds(crowd, st.integers(0, 10_000), st.sampled_from([100, 300, 500]))


@st.composite
def plans(draw: st.DrawFn, inputs: st.SearchStrategy[list[list[Command]]]) -> Plan:
    width, height = draw(st.sampled_from([(20, 11), (21, 14), (50, 25), (33, 60), (120, 80)]))
    max_players = draw(st.integers(1, 10))
    moves, steps = draw(st.sampled_from([(1, 1), (1, 1), (1, 5), (3, 8)]))
    rules = Rules(width, height, max_players, draw(st.integers(0, max_players)), moves=moves, steps=steps)
    density = draw(st.sampled_from([0.0, 0.0, 0.05, 0.9, 1.0]))
    return Plan(rules, draw(st.integers(0, 10_000)), draw(inputs), density)


def check_snakes(world: World, observer: Observer) -> None:
    """Judge that the living lie on the board in their colors, and that no cell has two owners."""
    owned: set[Position] = set()
    living = [snake for snake in world.snakes.values() if snake.born]
    for snake in living:
        chars = "%" + "@" * (len(snake.body) - 2) + "*"
        for position, char in zip(snake.body, chars, strict=True):
            assert observer.at(*position) == (char, snake.color)
            assert position not in owned
            owned.add(position)
        assert len(snake.body) + snake.growth == 3 + snake.score
        assert snake.score == observer.scores[snake.player_id]
    assert {snake.player_id: snake.color for snake in living} == observer.colors
    assert world.living == len(living) <= world.rules.max_players
    assert sum(char == "%" for char, _ in observer.cells.values()) == len(living), "no head is left behind"


def check_game(plan: Plan) -> Observer:
    """Play and judge every step."""
    world = plan.start()
    observer = Observer(plan.rules.width, plan.rules.height, world.cells.values())
    for commands in plan.inputs:
        heads = {snake.player_id: snake.body[0] for snake in world.snakes.values() if snake.born}
        quiet = not (world.snakes or plan.rules.bots or any(isinstance(command, Join) for command in commands))
        luck = world._rng.getstate() if quiet else None
        step = world.step(commands)
        observer.see(step.changes)
        assert {place: (cell.char, cell.color) for place, cell in world.cells.items()} == observer.cells
        assert all(place == (cell.x, cell.y) for place, cell in world.cells.items())
        check_snakes(world, observer)
        died = {change.player_id for change in step.changes if isinstance(change, PlayerDied)}
        for player, head in heads.items():
            if player not in died:
                assert head in list(world.snakes[player].body)[:2], "a cell a step at most"
        if quiet:
            assert step == Step()
            assert world._rng.getstate() == luck
    shown = msgspec.json.decode(encode_world(world.cells.values(), plan.rules.width, plan.rules.height))
    assert shown == [["world", observer.rows()]]
    return observer


@given(plans(SPARSE))
@settings(max_examples=150)
def test_every_change_obeys_the_rules(plan: Plan) -> None:
    check_game(plan)


@given(plans(CROWDS))
@settings(max_examples=30)
def test_every_change_of_a_crowded_game_obeys_the_rules(plan: Plan) -> None:
    check_game(plan)


def test_a_long_game_of_ten_obeys_the_rules() -> None:
    observer = check_game(Plan(Rules(bots=4), 1, crowd(1, 2000)))
    assert observer.births > 100
    assert observer.points > 500


@given(plans(SPARSE | CROWDS))
@settings(max_examples=20)
def test_replaying_a_log_gives_the_same_bytes(plan: Plan) -> None:
    def told() -> list[tuple[bytes, list[tuple[int, str]]]]:
        return [(encode_commands(step.changes), step.refused) for step in plan.play()]

    assert told() == told()


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_replays_the_same_bytes(hash_seed: str) -> None:
    """Nothing may hang on the order of a set, which differs from process to process."""
    code = f"from {digest.__module__} import digest; print(digest())"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert finished.stdout.strip() == digest()


def cost_of_a_scene(rules: Rules) -> tuple[int, int]:
    """Return the instructions of 100 steps, one snake's death among them, and how many changes they made."""
    game = Game((20, 12, RIGHT), (25, 14, RIGHT), (5, 20, UP), rules=rules)
    circle = [UP, LEFT, DOWN, RIGHT]
    changes: list[Change] = []

    def play() -> None:
        for number in range(100):
            changes.extend(game.step(Turn(1, circle[number % 4]), Turn(2, circle[number % 4])))

    cost = count_opcodes(play)
    assert game.world.living == 2
    return cost, len(changes)


def test_the_cost_of_a_step_does_not_grow_with_the_field() -> None:
    assert cost_of_a_scene(Rules(1000, 1000)) == cost_of_a_scene(Rules(50, 25))


def cost_of_a_game(rules: Rules) -> int:
    """Return the instructions of 100 steps with births, deaths, digits, stones and the ends of rounds."""
    world = World(rules, random.Random(1))

    def play() -> None:
        for commands in crowd(1, 100):
            world.step(commands)

    return count_opcodes(play)


def test_chance_costs_no_more_on_a_larger_field() -> None:
    assert cost_of_a_game(Rules(1000, 1000)) < 2 * cost_of_a_game(Rules(50, 25))
