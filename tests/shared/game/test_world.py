"""Every sentence of "The rules" in the protocol, by example; :mod:`test_world_properties` has what always holds."""

import itertools
import random
from collections import Counter

import pytest

from shared.game.bots import Bot
from shared.game.changes import CellChanged, PlayerDied, PlayerJoined, PlayerScored, TopScoresListed, WorldReset
from shared.game.commands import Join, Leave, Turn
from shared.game.scores import TopScores
from shared.game.search import open_run
from shared.game.snake import DIRECTIONS
from shared.game.world import (
    BIRTH_VIEW,
    CORPSE_BEATS,
    GAME_OVER,
    MAX_PLAYERS_REACHED,
    PATIENCE,
    SAFE_BEATS,
    Rules,
    World,
    list_top_scores,
)
from tests.shared.game.scripted import DIGITS, DOWN, LEFT, RIGHT, SMALLEST, UP, Game, ahead, of_kind

BIRTH_ROW = (5, 5, 10)
"""On the smallest field every tail is born on these ten cells."""


def test_the_field_is_50_by_25_for_ten_by_default() -> None:
    assert Rules() == Rules(width=50, height=25, max_players=10, bots=0)


# Births


def test_a_snake_is_born_three_long_and_everybody_is_told() -> None:
    world = World(Rules(), random.Random(1))
    changes = world.step([Join(7, "ann")]).changes
    joined = changes[0]
    assert isinstance(joined, PlayerJoined)
    assert (joined.player_id, joined.name, joined.score) == (7, "ann", 0)
    assert [(cell.char, cell.color) for cell in of_kind(CellChanged, changes)][:3] == [
        ("%", joined.color),
        ("@", joined.color),
        ("*", joined.color),
    ]
    assert list(world.players()) == [joined]


def test_a_snake_does_not_move_in_the_step_of_its_birth() -> None:
    world = World(Rules(), random.Random(1))
    head = world.step([Join(7, "ann")]).changes[1]
    assert isinstance(head, CellChanged)
    assert world.snakes[7].body[0] == (head.x, head.y)
    goal = ahead(world.snakes[7])
    world.step()
    assert world.snakes[7].body[0] == goal


def test_births_reach_every_place_that_is_five_from_the_border() -> None:
    columns, rows, directions = set(), set(), Counter[tuple[int, int]]()
    for seed in range(2000):
        world = World(Rules(60, 60), random.Random(seed))
        world.step([Join(1, "ann")])
        x, y = world.snakes[1].body[-1]
        columns.add(x)
        rows.add(y)
        directions[world.snakes[1].direction] += 1
    assert columns == rows == set(range(5, 55))
    assert set(directions) == set(DIRECTIONS.values())
    assert min(directions.values()) > 400


def test_a_newborn_has_a_free_way_ahead() -> None:
    """On the default field it always finds one; where the field is small, that with the most free cells of 20 draws."""
    ways = []
    for rules in (Rules(), SMALLEST):
        for seed in range(200):
            world = World(rules, random.Random(seed))
            world.step([Join(1, "ann")])
            snake = world.snakes[1]
            ways.append(open_run(world.look, snake.body[0], snake.direction, 100))
    assert min(ways[:200]) >= BIRTH_VIEW
    assert min(ways[200:]) >= 6, "up and down there are but three"


def test_a_newborn_looks_away_from_what_lies_there() -> None:
    game = Game(rules=Rules(60, 25))
    for x in (*range(8, 20), *range(24, 60)):
        for y in range(25):
            game.put("#", x, y)
    game.world._rng = random.Random(1)
    for player_id in range(1, 9):
        game.step(Join(player_id, "ann"))
    ahead = [snake for snake in game.world.snakes.values() if snake.direction[0]]
    assert len(game.world.snakes) == 8
    assert ahead == [], "up and down there are twelve free cells, sideways none"


@pytest.mark.parametrize("way", ["border", "stone", "snake"])
def test_nothing_kills_a_newborn_for_48_beats(way: str) -> None:
    """What is in its way only stops it; then it has to turn, as any other."""
    game = Game(rules=Rules(20, 11, moves=1, steps=2))
    game.step(Join(1, "ann"))
    snake = game.snake(1)
    if way == "stone":
        game.put("#", *ahead(snake))
    if way == "snake":
        game.put("@", *ahead(snake), color=3)
    steps = 1
    while PlayerDied(1) not in game.step():
        steps += 1
    assert 2 * (SAFE_BEATS - 1) <= steps <= 2 * SAFE_BEATS


def test_a_bot_is_born_as_mortal_as_others_become() -> None:
    world = World(Rules(bots=1), random.Random(1))
    world.step([Join(2, "ann")])
    assert (world.snakes[1].safe_until, world.snakes[2].safe_until) == (0, SAFE_BEATS)


def test_a_newborn_that_leaves_is_dead() -> None:
    game = Game()
    game.step(Join(1, "ann"))
    assert PlayerDied(1) in game.step(Leave(1))


@pytest.mark.parametrize("obstacle", ["#", "9", "+"])
def test_a_birth_without_a_place_waits(obstacle: str) -> None:
    game = Game(rules=SMALLEST)
    game.put(obstacle * 10, *BIRTH_ROW[:2])
    for _ in range(5):
        assert game.step(Join(1, "ann")) == []
    assert (game.world.living, list(game.world.players())) == (0, [])
    game.clear(*BIRTH_ROW)
    assert isinstance(game.step()[0], PlayerJoined)


def test_a_birth_is_tried_twenty_times_a_step() -> None:
    """One draw of 40 finds the only place: so 20 find it in 1 - (39/40)^20 = 39.7 % of the steps."""
    game = Game(rules=SMALLEST)
    game.fill("#")
    game.clear(3, 5, 3)
    rng, births, world = random.Random(0), 0, World(SMALLEST, random.Random(0))
    for _ in range(10_000):
        if world.living or not world.cells:
            births += world.living
            world = World(SMALLEST, rng)
            world.cells.update(game.world.cells)
        world.step([Join(1, "ann")])
    assert 0.388 < births / 10_000 < 0.405  # 19 draws would find it in 38.2 %, 21 in 41.2 %


def test_the_first_six_wear_six_colors() -> None:
    world = World(Rules(200, 200), random.Random(4))
    changes = world.step([Join(number, "x") for number in range(1, 7)]).changes
    assert sorted(joined.color for joined in of_kind(PlayerJoined, changes)) == [1, 2, 3, 4, 5, 6]


def test_a_newcomer_takes_the_color_that_a_death_left_free() -> None:
    game = Game(*[(10, 6 + 2 * row, RIGHT) for row in range(6)])
    changes = game.step(Leave(4), Join(9, "new"))
    assert [joined.color for joined in of_kind(PlayerJoined, changes)] == [4]


def test_the_color_is_drawn() -> None:
    colors = set()
    for seed in range(100):
        world = World(Rules(), random.Random(seed))
        world.step([Join(1, "ann")])
        colors.add(world.snakes[1].color)
    assert colors == {1, 2, 3, 4, 5, 6}


def test_a_birth_brings_one_digit() -> None:
    changes = Game().step(Join(1, "ann"))
    assert [cell.char in DIGITS for cell in of_kind(CellChanged, changes)] == [False, False, False, True]


# A step


def test_the_head_moves_on_and_the_tail_follows() -> None:
    game = Game((10, 10, RIGHT))
    assert game.step() == [
        CellChanged(13, 10, "%", 1),
        CellChanged(12, 10, "@", 1),
        CellChanged(10, 10, " ", 0),
        CellChanged(11, 10, "*", 1),
    ]


@pytest.mark.parametrize("key", [LEFT, UP, RIGHT, DOWN])
def test_a_turn_turns_the_head(key: int) -> None:
    birth = RIGHT if key in (UP, DOWN) else UP
    game = Game((20, 12, birth))
    goal = ahead(game.snake(1), key)
    game.step(Turn(1, key))
    assert game.snake(1).body[0] == goal


def test_one_turn_a_step_is_taken_and_two_wait() -> None:
    game = Game((10, 10, RIGHT))
    game.step(Turn(1, UP), Turn(1, LEFT), Turn(1, DOWN))  # the third finds two waiting
    assert game.snake(1).body[0] == (12, 9)
    game.step()
    assert game.snake(1).body[0] == (11, 9)
    game.step()
    assert game.snake(1).body[0] == (10, 9)


@pytest.mark.parametrize(("moves", "steps"), [(1, 1), (1, 5), (3, 8), (29, 200), (99, 100)])
def test_a_snake_moves_evenly_and_as_often_as_its_speed_says(moves: int, steps: int) -> None:
    game = Game((400, 600, RIGHT), rules=Rules(1000, 1000, moves=moves, steps=steps))
    moved = []
    for step in range(3 * steps):
        head = game.snake(1).body[0]
        game.step()
        if game.snake(1).body[0] != head:
            moved.append(step)
    assert len(moved) == 3 * moves
    gaps = {later - earlier for earlier, later in itertools.pairwise(moved)}
    assert gaps <= {steps // moves, steps // moves + 1}


def test_snakes_move_in_different_steps_so_that_each_has_work() -> None:
    world = World(Rules(200, 200, bots=10, moves=1, steps=5), random.Random(1))
    world.step()
    heads = [sum(cell.char == "%" for cell in of_kind(CellChanged, world.step().changes)) for _ in range(50)]
    assert set(heads) == {2}


def test_steps_without_a_game_are_none_of_a_beat() -> None:
    told = []
    for idle in (0, 3):
        world = World(Rules(moves=1, steps=5), random.Random(1))
        for _ in range(idle):
            world.step()
        told.append([world.step([Join(1, "ann")]).changes, *(world.step().changes for _ in range(20))])
    assert told[0] == told[1]


def test_one_turn_a_move_is_taken() -> None:
    game = Game((10, 10, RIGHT), rules=Rules(moves=1, steps=5))
    game.step()
    game.step(Turn(1, UP))
    game.step(Turn(1, LEFT))
    game.step()
    assert game.snake(1).body[0] == (13, 10)
    game.steps(5)
    assert game.snake(1).body[0] == (13, 9)
    game.steps(5)
    assert game.snake(1).body[0] == (12, 9)


def test_what_comes_by_chance_comes_with_the_moves() -> None:
    """As many digits and stones by the time that a snake has gone 20 cells, whatever its speed."""
    counts = []
    for steps in (1, 5):
        game = Game((400, 600, RIGHT), rules=Rules(1000, 1000, moves=1, steps=steps), chance=0.0)
        appeared = Counter[bool]()
        for _ in range(20 * steps):
            cells = of_kind(CellChanged, game.step())
            appeared.update(cell.char == "#" for cell in cells if cell.char in {"#", *DIGITS})
        counts.append(appeared)
    assert counts[0] == counts[1] == {True: 20, False: 20}


def test_a_key_of_somebody_without_a_snake_is_ignored() -> None:
    game = Game((10, 10, RIGHT))
    game.step(Turn(5, UP))
    assert set(game.world.snakes) == {1}


def test_a_key_while_waiting_to_be_born_is_ignored() -> None:
    game = Game(rules=SMALLEST)
    game.put("#" * 10, *BIRTH_ROW[:2])
    keys = [Turn(1, key) for key in (LEFT, UP, RIGHT, DOWN)]
    game.step(Join(1, "waits"), *keys)
    game.clear(*BIRTH_ROW)
    game.step(*keys)
    assert game.snake(1).turns == []


@pytest.mark.parametrize(("key", "last"), [(LEFT, (0, 5)), (UP, (10, 0)), (RIGHT, (19, 5)), (DOWN, (10, 10))])
def test_the_border_is_the_end_and_no_cell_before_it(key: int, last: tuple[int, int]) -> None:
    game = Game((10, 5, key), rules=SMALLEST)
    while game.snake(1).body[0] != last:
        assert of_kind(PlayerDied, game.step()) == []
    game.lose_patience()
    assert PlayerDied(1) in game.step()


@pytest.mark.parametrize("obstacle", ["#", "x", "@", "+"])
def test_a_stone_or_a_dead_snake_is_the_end(obstacle: str) -> None:
    game = Game((10, 10, RIGHT))
    game.put(obstacle, 13, 10)
    game.lose_patience()
    assert game.step()[0] == PlayerDied(1)
    assert game.shows(13, 10) == obstacle


def test_a_snake_stands_for_three_moves_before_what_is_in_its_way_and_then_dies() -> None:
    game = Game((10, 10, RIGHT), rules=Rules(moves=1, steps=5))
    game.put("#", 13, 10)
    for _ in range(5 * 3):
        assert game.step() == []
    assert game.snake(1).body[0] == (12, 10)
    assert PlayerDied(1) in game.step()


def test_who_turns_away_in_time_lives_on_and_may_stand_as_long_again() -> None:
    game = Game((10, 10, RIGHT))
    for place in ((13, 10), (12, 8)):
        game.put("#", *place)
    game.steps(PATIENCE)
    game.step(Turn(1, UP))
    assert game.snake(1).body[0] == (12, 9)
    game.steps(PATIENCE)
    game.step(Turn(1, LEFT))
    assert game.snake(1).body[0] == (11, 9)


def test_a_turn_into_what_is_in_the_way_is_forgotten() -> None:
    game = Game((10, 10, RIGHT))
    game.put("#", 12, 9)
    assert game.step(Turn(1, UP), Turn(1, LEFT)) == []
    assert game.snake(1).turns == []
    assert game.step(Turn(1, DOWN))[0] == CellChanged(12, 11, "%", 1), "DOWN is straight back from UP, not from RIGHT"
    game.put("#", 11, 11)
    game.step(Turn(1, LEFT))
    game.step()
    assert game.snake(1).body[0] == (12, 12), "it goes on as it went before"


def test_what_is_in_the_way_may_move_away() -> None:
    game = Game((20, 12, UP), (17, 11, RIGHT))
    game.step()
    assert game.snake(2).body[0] == (19, 11)
    game.step()
    assert game.snake(2).body[0] == (20, 11)


@pytest.mark.parametrize("part", range(3), ids=["head", "body", "tail"])
def test_any_part_of_a_snake_is_the_end_for_another(part: int) -> None:
    """The second snake's turn comes after the first has moved up by one."""
    game = Game((20, 12, UP), (17, 9 + part, RIGHT))  # the first will lie from 9 to 11
    game.lose_patience()
    assert of_kind(PlayerDied, game.step()) == [PlayerDied(2)]
    assert game.snake(1).body[0] == (20, 9)


def test_a_snake_that_bites_itself_is_dead() -> None:
    game = Game((10, 10, RIGHT))
    game.put("2", 13, 10)
    game.steps(3)
    assert len(game.snake(1).body) == 5
    game.step(Turn(1, DOWN), Turn(1, LEFT))
    game.step()
    game.lose_patience()
    assert PlayerDied(1) in game.step(Turn(1, UP))


def test_players_move_in_the_order_of_their_joining() -> None:
    game = Game((10, 10, RIGHT), (16, 10, LEFT))  # both heads are next to the cell between them
    game.lose_patience()
    changes = game.step()
    assert game.snake(1).body[0] == (13, 10)
    assert of_kind(PlayerDied, changes) == [PlayerDied(2)]


def test_a_snake_may_enter_the_cell_that_an_earlier_one_left_in_this_step() -> None:
    game = Game((20, 12, UP), (17, 12, RIGHT))
    game.step()
    assert game.snake(2).body[0] == (20, 12)
    game = Game((17, 12, RIGHT), (20, 12, UP))
    game.lose_patience()
    assert PlayerDied(1) in game.step()


def test_a_dead_snake_stays_lying_without_color_for_eight_beats() -> None:
    game = Game((10, 10, RIGHT), (20, 20, RIGHT))
    game.put("1", 13, 10)
    game.steps(2)
    game.put("#", 15, 10)
    game.lose_patience()
    assert game.step()[2:6] == [
        CellChanged(14, 10, "x", 0),
        CellChanged(13, 10, "@", 0),
        CellChanged(12, 10, "@", 0),
        CellChanged(11, 10, "+", 0),
    ]
    game.steps(CORPSE_BEATS - 2)
    assert game.shows(10, 10, 6) == " +@@x#"
    assert game.step()[-4:] == [CellChanged(x, 10, " ", 0) for x in (14, 13, 12, 11)]
    assert game.shows(10, 10, 6) == "     #"


def test_a_dead_snake_lies_as_long_as_others_need_for_eight_cells() -> None:
    game = Game((10, 10, RIGHT), (20, 12, RIGHT), rules=Rules(moves=1, steps=5))
    head = game.snake(2).body[0]
    game.step(Leave(1))
    while game.shows(10, 10, 3) == "+@x":
        game.step()
    assert game.snake(2).body[0] == (head[0] + CORPSE_BEATS, head[1])


def test_nothing_of_the_last_round_goes_in_the_next() -> None:
    game = Game((10, 10, RIGHT))
    game.step(Leave(1), Join(2, "bob"))
    game.fill("#")
    told = [cell for _ in range(2 * CORPSE_BEATS) for cell in of_kind(CellChanged, game.step())]
    assert {cell.char for cell in told} <= {"%", "@", "*", " ", *DIGITS}
    assert sum(cell.char == " " for cell in told) == sum(cell.char == "%" for cell in told)


@pytest.mark.parametrize("digit", range(1, 10))
def test_a_digit_is_eaten_score_and_growth_by_its_value(digit: int) -> None:
    game = Game((10, 10, RIGHT))
    game.put(str(digit), 13, 10, color=4)
    changes = game.step()
    assert changes[:2] == [PlayerScored(1, digit), CellChanged(13, 10, "%", 1)]
    lengths = []
    for _ in range(digit + 2):
        lengths.append(len(game.snake(1).body))
        game.step()
    assert lengths == [*range(3, 3 + digit + 1), 3 + digit]
    assert list(game.world.players()) == [PlayerJoined(1, "player 1", 1, digit)]


def test_while_it_grows_the_tail_stays() -> None:
    game = Game((10, 10, RIGHT))
    game.put("1", 13, 10)
    game.step()
    assert game.step() == [CellChanged(14, 10, "%", 1), CellChanged(13, 10, "@", 1)]
    assert game.shows(10, 10, 6) == " *@@% "


def test_growth_adds_up() -> None:
    game = Game((10, 10, RIGHT))
    game.put("35", 13, 10)
    game.steps(12)
    assert (len(game.snake(1).body), game.snake(1).score) == (11, 8)


# Digits and stones


@pytest.mark.parametrize(("chance", "digits", "stones"), [(0.0599, 3, 1), (0.06, 0, 0)])
def test_a_digit_comes_by_6_percent_a_snake_and_a_stone_by_6_percent_a_step(
    chance: float, digits: int, stones: int
) -> None:
    game = Game((10, 10, RIGHT), (10, 14, RIGHT), (10, 18, RIGHT), chance=chance)
    chars = [cell.char for cell in of_kind(CellChanged, game.step())]
    assert (sum(char in DIGITS for char in chars), chars.count("#")) == (digits, stones)


def test_where_one_in_fifty_cells_is_a_stone_the_oldest_goes() -> None:
    game = Game(rules=Rules(bots=1), chance=0.0)
    game.world._rng = random.Random(1)
    stones: list[tuple[int, int]] = []
    while len(stones) < 60:
        stones += [(cell.x, cell.y) for cell in of_kind(CellChanged, game.step()) if cell.char == "#"]
    lying = [place for place, cell in game.world.cells.items() if cell.char == "#"]
    assert sorted(lying) == sorted(stones[-50 * 25 // 50 :])


def test_digits_and_stones_come_about_as_often_as_said() -> None:
    chars = Counter[str]()
    for seed in range(10):
        game = Game((400, 600, RIGHT), rules=Rules(1000, 1000))
        game.world._rng = random.Random(seed)
        for _ in range(200):
            appeared = of_kind(CellChanged, game.step(Turn(1, UP)))
            chars.update("digit" if cell.char in DIGITS else cell.char for cell in appeared)
            game.step(Turn(1, RIGHT))
    assert 60 < chars["#"] < 180  # of 2,000 of these steps 6 % are 120
    assert 60 < chars["digit"] < 180


def test_digits_of_every_value_and_color_come_in_every_row_and_column() -> None:
    places, values, colors = set(), set(), set()
    for seed in range(3000):
        world = World(SMALLEST, random.Random(seed))
        digit = world.step([Join(1, "ann")]).changes[4]
        assert isinstance(digit, CellChanged)
        places.add((digit.x, digit.y))
        values.add(digit.char)
        colors.add(digit.color)
    assert places == {(x, y) for x in range(20) for y in range(11)}
    assert values == DIGITS
    assert colors == {1, 2, 3, 4, 5, 6}


def test_the_last_empty_cell_is_found() -> None:
    game = Game((10, 5, RIGHT), rules=SMALLEST, chance=0.0)
    game.fill("#")
    game.put("1", 13, 5)
    del game.world.cells[19, 10]
    changes = game.step()
    # Its tail left a cell in this very step, so there are two empty ones: for the digit and for the stone.
    appeared = [cell for cell in of_kind(CellChanged, changes) if cell.char in {"#", *DIGITS}]
    assert {(cell.x, cell.y) for cell in appeared} == {(19, 10), (10, 5)}
    assert [cell.char == "#" for cell in appeared] == [False, True]


@pytest.mark.parametrize("place", [(0, 0), (19, 0), (7, 3), (0, 10), (19, 10)])
def test_the_only_empty_cell_is_found_wherever_it_is(place: tuple[int, int]) -> None:
    game = Game((10, 5, RIGHT), rules=SMALLEST, chance=0.05)  # all draws point at column 1 of row 0
    game.fill("9")
    game.snake(1).growth = 5
    game.clear(*place)
    digit = game.step()[-1]
    assert isinstance(digit, CellChanged)
    assert ((digit.x, digit.y), digit.char in DIGITS) == (place, True)


def test_a_full_field_takes_no_more() -> None:
    game = Game((10, 5, RIGHT), rules=SMALLEST, chance=0.0)
    game.fill("9")
    game.step()  # the cell that it left is filled at once; from now on it grows and leaves none
    assert len(game.world.cells) == 20 * 11
    changes = game.step()
    assert [cell.char for cell in of_kind(CellChanged, changes)] == ["%", "@"]
    assert game.world.living == 1


def test_nobody_is_born_on_a_full_field_until_the_round_ends() -> None:
    game = Game((10, 5, RIGHT), rules=SMALLEST)
    game.fill("9")
    game.step(Join(2, "waits"))
    while 1 in game.world.snakes:
        assert not game.world.snakes[2].born
        game.step()
    assert game.snake(2).score == 0
    assert len(game.world.cells) == 4


# Who may play


def test_at_most_max_players_live_and_the_rest_are_told() -> None:
    world = World(Rules(100, 100, max_players=2), random.Random(1))
    step = world.step([Join(1, "a"), Join(2, "b"), Join(3, "c")])
    assert step.refused == [(3, MAX_PLAYERS_REACHED)]
    assert MAX_PLAYERS_REACHED == "Maximum players reached"
    assert world.living == 2
    assert world.step([Leave(1), Join(3, "c")]).refused == []
    assert set(world.snakes) == {2, 3}


def test_who_waits_to_be_born_counts_as_a_player() -> None:
    game = Game(rules=Rules(20, 11, max_players=1))
    game.put("#" * 10, *BIRTH_ROW[:2])
    game.step(Join(2, "waits"))
    assert game.world.step([Join(3, "late")]).refused == [(3, MAX_PLAYERS_REACHED)]


def test_a_join_is_ignored_while_the_snake_lives() -> None:
    game = Game((10, 10, RIGHT), rules=Rules(max_players=1))
    step = game.world.step([Join(1, "again")])
    assert (step.refused, of_kind(PlayerJoined, step.changes)) == ([], [])
    assert game.snake(1).name == "player 1"


def test_a_leaver_s_snake_dies_at_the_next_step_and_stays_lying_for_a_while() -> None:
    game = Game((10, 10, RIGHT), (20, 20, RIGHT))
    assert game.step(Leave(1))[0] == PlayerDied(1)
    game.steps(3)
    assert game.shows(10, 10, 4) == "+@x "


def test_who_leaves_before_the_birth_was_never_heard_of() -> None:
    game = Game(rules=SMALLEST)
    game.put("#" * 10, *BIRTH_ROW[:2])
    game.step(Join(2, "waits"))
    assert game.step(Leave(2)) == []
    assert (game.world.snakes, game.world.living) == ({}, 0)
    assert game.step(Leave(77)) == []


# Rounds


def test_the_last_death_shows_game_over_in_the_middle() -> None:
    game = Game((10, 10, RIGHT))
    game.put("###", 14, 12)
    game.put("#", 13, 10)
    game.lose_patience()
    changes = game.step()
    assert game.shows(15, 12, len(GAME_OVER)) == " >>> GAME OVER <<< "
    assert changes[:2] == [PlayerDied(1), TopScoresListed([])]
    shown = {(cell.x, cell.y): cell for cell in of_kind(CellChanged, changes)}
    assert shown[15, 12] == CellChanged(15, 12, " ", 0)
    assert shown[16, 12] == CellChanged(16, 12, ">", 1)
    assert game.shows(14, 12) == "#"


def test_game_over_fits_the_smallest_field() -> None:
    game = Game((10, 5, RIGHT), rules=SMALLEST)
    game.step(Leave(1))
    assert game.shows(0, 5, 20) == " >>> GAME OVER <<<  "


def test_a_death_among_others_ends_no_round() -> None:
    game = Game((10, 10, RIGHT), (20, 20, RIGHT))
    game.step(Leave(1))
    assert "G" not in {cell.char for cell in game.world.cells.values()}
    assert of_kind(WorldReset, game.step(Join(3, "c"))) == []


def test_the_next_join_starts_on_a_reset_field() -> None:
    game = Game((10, 10, RIGHT))
    game.step(Leave(1))
    assert game.step() == []
    changes = game.step(Join(1, "ann"))
    assert changes[0] == WorldReset()
    assert isinstance(changes[1], PlayerJoined)
    assert len(game.world.cells) == 4
    assert of_kind(WorldReset, game.step(Join(2, "bob"))) == []


def test_a_join_in_the_step_of_the_last_death_starts_the_next_round() -> None:
    game = Game((10, 10, RIGHT))
    changes = game.step(Leave(1), Join(2, "bob"))
    assert changes.index(WorldReset()) > changes.index(PlayerDied(1))
    assert (game.world.living, len(game.world.cells)) == (1, 4)


def test_scores_are_listed_at_a_death_and_kept_over_rounds() -> None:
    game = Game((10, 10, RIGHT))
    game.put("7", 13, 10)
    assert not game.world.step().scores_changed
    step = game.world.step([Leave(1)])
    assert step.scores_changed
    assert TopScoresListed([("player 1", 7, 1)]) in step.changes
    game.step(Join(1, "player 1"))
    step = game.world.step([Leave(1)])
    assert not step.scores_changed
    assert TopScoresListed([("player 1", 7, 1)]) in step.changes


def test_several_deaths_in_one_step_save_if_any_changed_the_list() -> None:
    game = Game((10, 10, RIGHT), (20, 20, RIGHT))
    game.put("7", 13, 10)
    game.step()
    assert game.world.step([Leave(1), Leave(2)]).scores_changed


def test_the_color_of_a_top_score_is_one_and_its_rank_modulo_six() -> None:
    rows = [(f"n{rank}", 100 - rank) for rank in range(15)]
    world = World(Rules(), random.Random(0), TopScores(rows))
    assert [color for _, _, color in list_top_scores(world.top_scores.rows).rows] == [
        1,
        2,
        3,
        4,
        5,
        6,
        1,
        2,
        3,
        4,
        5,
        6,
        1,
        2,
        3,
    ]


# Bots


def test_bots_are_among_the_ten_and_join_again() -> None:
    world = World(Rules(60, 60, max_players=3, bots=3), random.Random(0))
    assert sorted(joined.player_id for joined in of_kind(PlayerJoined, world.step().changes)) == [1, 2, 3]
    assert world.step([Join(4, "late")]).refused == [(4, MAX_PLAYERS_REACHED)]
    world.step([Leave(2)])
    assert set(world.snakes) == {1, 2, 3}


def test_a_bot_waits_while_the_ten_are_full() -> None:
    world = World(Rules(60, 60, max_players=2, bots=1), random.Random(0))
    assert world.step([Join(8, "a"), Join(9, "b")]).refused == []
    assert set(world.snakes) == {8, 9}
    world.step([Leave(8)])
    assert set(world.snakes) == {9, 1}


@pytest.mark.parametrize(("bots", "each"), [(1, 60), (10, 30)])
def test_bots_look_when_they_move_and_share_the_steps_of_their_search(
    bots: int, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches: list[int] = []
    monkeypatch.setattr(Bot, "steer", lambda _bot, _snake, _look, steps: searches.append(steps))
    world = World(Rules(200, 200, bots=bots, bot_steps=60, moves=1, steps=5), random.Random(1))
    for _ in range(6):
        world.step()
    assert searches == [each] * bots


def test_a_quiet_step_draws_nothing_and_changes_nothing() -> None:
    rng = random.Random(3)
    world = World(Rules(), rng)
    state = rng.getstate()
    assert world.step([Turn(1, UP), Leave(2)]) == world.step()
    assert (rng.getstate(), world.cells, world.step().changes) == (state, {}, [])
    world.step([Join(1, "ann")])
    world.step([Leave(1)])
    state, cells = rng.getstate(), dict(world.cells)
    assert world.step([Leave(1)]).changes == []
    assert (rng.getstate(), world.cells) == (state, cells)
