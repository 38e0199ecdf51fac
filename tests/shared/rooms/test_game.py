import json

from shared.game.changes import PlayerDied, PlayerJoined, TopScoresListed
from shared.game.commands import Join, Leave
from shared.game.world import Rules
from shared.rooms.game import Game, GameSetup, Newcomer

SETUP = GameSetup("den", "seed", Rules(30, 20), [("old", 5)])


def test_the_same_setup_is_the_same_game() -> None:
    games = [Game(SETUP) for _ in range(2)]
    steps = [[game.step([Join(1, "ann")] if n == 3 else []) for n in range(60)] for game in games]
    assert steps[0] == steps[1]
    assert Game(GameSetup("other", "seed", Rules(30, 20), [])).step([Join(1, "ann")]) != steps[0][3]


def test_a_step_tells_everybody_its_changes_and_apart_from_them_what_is_no_cell() -> None:
    game = Game(SETUP)
    step = game.step([Join(1, "ann")])
    commands = json.loads(step.commands)
    assert [command[0] for command in commands] == ["p_joined", *["render"] * 4]
    assert [type(news) for news in step.news] == [PlayerJoined]
    assert (step.living, step.refused, step.top_scores) == (1, [], None)
    step = game.step([Leave(1)])
    assert [type(news) for news in step.news] == [PlayerDied, TopScoresListed]
    assert step.living == 0


def test_who_finds_no_place_is_refused() -> None:
    game = Game(GameSetup("den", "seed", Rules(30, 20, max_players=1), []))
    assert game.step([Join(1, "ann"), Join(2, "bob")]).refused == [(2, "Maximum players reached")]


def test_rows_of_top_scores_come_when_they_change() -> None:
    game = Game(SETUP)
    game.step([Join(1, "ann")])
    game.world.snakes[1].score = 8
    assert game.step([Leave(1)]).top_scores == [("ann", 8), ("old", 5)]


def test_a_newcomer_is_told_everything_and_a_look_is_the_field() -> None:
    game = Game(SETUP)
    game.step([Join(1, "ann")])
    handshake, world, top_scores, joined = json.loads(game.welcome(Newcomer(7, "bob")))
    assert handshake == ["handshake", "bob", 7]
    assert [world] == json.loads(game.look())
    assert top_scores == ["top_scores", [["old", 5, 1]]]
    assert joined[:3] == ["p_joined", 1, "ann"]
    assert sum(char != " " for row in world[1] for char, _ in row) == 4


def test_a_look_is_encoded_once_until_something_changes() -> None:
    game = Game(SETUP)
    look = game.look()
    assert game.look() is look
    game.step([])
    assert game.look() is look
    game.step([Join(1, "ann")])
    assert game.look() != look
