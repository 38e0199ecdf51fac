"""What a player may say, and what comes of it."""

import json

import pytest

from tests.conftest import Serve, Share
from tests.support.client import CLOSE
from tests.support.player import LEFT, heading, moved
from tests.support.server import RunningServer

pytestmark = pytest.mark.differs("condition", "thread", "process")


@pytest.fixture
def calm_server(share: Share) -> RunningServer:
    """Slow ticks and a large field: there is time to do something between two ticks, and room to ride."""
    return share("--tick-rate", "10", "--field", "100x100", "--tick-budget", "0")


# The snake


def test_join_puts_a_snake_in_the_field(server: RunningServer, room: str) -> None:
    player = server.enter(room, "Ada")
    birth = player.join()
    ((_, player_id, name, color, score),) = birth.named("p_joined")
    assert (player_id, name, score) == (player.player_id, "Ada", 0)
    assert 1 <= color <= 6
    head, body, tail = (player.board.find(char) for char in "%@*")
    assert [len(cells) for cells in (head, body, tail)] == [1, 1, 1]
    assert moved(tail[0], heading(birth), 2) == moved(body[0], heading(birth)) == head[0]
    assert {player.board.cells[cells[0]][1] for cells in (head, body, tail)} == {color}
    assert min(*tail[0], 49 - tail[0][0], 24 - tail[0][1]) >= 5


@pytest.mark.differs  # the rules, as test_same_bytes.py has them in every design
def test_the_last_death_ends_the_round(server: RunningServer, room: str) -> None:
    player = server.enter(room)
    player.join()
    death = player.until(lambda tick: tick.named("p_gameover"))
    assert death.named("p_gameover") == [["p_gameover", player.player_id]]
    assert len(death.named("top_scores")) == 1
    board = player.board
    assert any(" >>> GAME OVER <<< " in board.row_text(y) for y in range(board.height))
    assert board.find("x")
    assert {board.cells[cell][1] for cell in board.find("x", "+")} == {0}
    assert not board.find("%")
    player.send(LEFT)  # ignored, as long as it lies there
    player.ping()
    assert player.next_tick().commands == []
    birth = player.join()
    assert birth.commands[0] == ["reset_world"]
    assert len(player.board.cells) <= 5, "snake, a digit and perhaps a stone"


@pytest.mark.differs  # the rules, as test_same_bytes.py has them in every design
def test_a_round_goes_on_while_one_lives(calm_server: RunningServer, room: str) -> None:
    mortal, survivor = calm_server.enter(room, "mortal"), calm_server.enter(room, "survivor")
    mortal.join()
    survivor.join()
    mortal.hang_up()
    death = survivor.until(lambda tick: tick.named("p_gameover"))
    assert death.named("p_gameover") == [["p_gameover", mortal.player_id]]
    dead = [cell for cell, shown in survivor.board.cells.items() if shown[0] in "x@+" and shown[1] == 0]
    assert len(dead) >= 3
    newcomer = calm_server.enter(room, "newcomer")
    birth = newcomer.join()
    assert not birth.named("reset_world")
    assert survivor.player_id in newcomer.board.alive
    survivor.until(lambda tick: tick.n >= birth.n)
    assert newcomer.board.cells == survivor.board.cells


@pytest.mark.differs  # the rules, as test_same_bytes.py has them in every design
def test_the_dead_go_from_the_field(calm_server: RunningServer, room: str) -> None:
    mortal, survivor = calm_server.enter(room, "mortal"), calm_server.enter(room, "survivor")
    mortal.join()
    survivor.join()
    mortal.hang_up()
    survivor.until(lambda tick: tick.named("p_gameover"))
    assert survivor.board.find("x")
    survivor.until(lambda _: not survivor.board.find("x", "+"))
    assert survivor.is_alive


def test_a_leaver_dies_at_the_next_tick(calm_server: RunningServer, room: str) -> None:
    leaver, onlooker = calm_server.enter(room), calm_server.enter(room)
    birth = leaver.join()
    onlooker.until(lambda tick: tick.n >= birth.n)
    assert leaver.player_id in onlooker.board.alive
    leaver.send_frame(CLOSE)
    leaver.expect_close()
    onlooker.ping()  # a tick that was on its way while it left is here now
    onlooker.next_tick()
    assert leaver.player_id not in onlooker.board.alive
    assert {onlooker.board.cells[cell] for cell in onlooker.board.find("x")} == {("x", 0)}


# How many


def test_ten_play_and_the_others_look_on(calm_server: RunningServer, room: str) -> None:
    players = [calm_server.enter(room, f"player {number}") for number in range(10)]
    spectators = [calm_server.enter(room, f"spectator {number}") for number in range(15)]
    for player in players:
        player.send(["join"])
        player.ping()
    for _ in range(5):  # an answer, not a fault: the third would have closed it
        spectators[0].send(["join"])
    for _ in range(5):
        assert spectators[0].next_personal() == [["error", "Maximum players reached"]]
    tick = spectators[1].until(lambda _: len(spectators[1].board.alive) == 10)
    assert all(spectator.until(lambda other: other.n >= tick.n) for spectator in spectators)


@pytest.mark.differs  # the rules, as test_same_bytes.py has them in every design
def test_bots_are_among_the_ten(serve: Serve) -> None:
    with serve("--bots", "10", "--tick-rate", "50") as server:
        player = server.enter("main")
        assert player.player_id == 11
        player.until(lambda _: len(player.board.alive) == 10)
        assert set(player.board.alive) <= set(range(1, 11))
        player.send(["join"])
        assert player.next_personal() == [["error", "Maximum players reached"]]
        died = player.until(lambda tick: tick.named("p_gameover")).named("p_gameover")[0][1]
        player.until(lambda tick: any(born[1] == died for born in tick.named("p_joined")))


# Ping


def test_a_ping_is_answered_between_ticks(calm_server: RunningServer, room: str) -> None:
    player = calm_server.enter(room)
    player.next_tick()
    assert sum(player.ping() for _ in range(20)) > 10


@pytest.mark.differs
@pytest.mark.parametrize(
    "t",
    [
        "0",
        "-1",
        "1.0",
        "-0.0",
        "0.1",
        "1e-300",
        "1.7976931348623157e+308",
        str(2**53 + 1),
        str(-(2**63)),
        str(2**64 - 1),
    ],
)
def test_a_pong_echoes_t_exactly(server: RunningServer, room: str, t: str) -> None:
    player = server.enter(room)
    player.send_text(f'["ping",{t}]')
    ((name, echoed, server_us),) = player.next_personal()
    assert name == "pong"
    assert repr(echoed) == repr(json.loads(t))
    assert isinstance(server_us, int)


# Names


@pytest.mark.differs
@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("A\x00d\x1fa\x7f\x85", "Ada"),
        ("  123456789012345  ", "123456789012345"),
        ("<b>&amp;\"'\\</b>", "<b>&amp;\"'\\</b>"),
        ("\u202eadA\u200b\u2066", "adA"),
        ("Ame\u0301lie", "Am\u00e9lie"),
    ],
)
def test_names_are_cleaned(server: RunningServer, room: str, asked: str, given: str) -> None:
    player = server.enter(room, asked)
    assert player.welcome[0][1] == given
    assert player.join().named("p_joined")[0][2] == given


@pytest.mark.differs
@pytest.mark.parametrize("name", ["   ", "\n\t\x00", "\U0001f40d" * 16, "\u200b\u202e\u3164"])
def test_bad_names_are_refused(server: RunningServer, room: str, name: str) -> None:
    player = server.connect(room)
    player.send(["new_player", name])
    assert [command[0] for command in player.receive_commands()] == ["error"]
    player.enter("another")


@pytest.mark.differs
@pytest.mark.parametrize("escape", [r"\ud800", r"\udc00", r"a\ud83db", r"\udc0d\ud83d"])
def test_lone_surrogates_are_refused(server: RunningServer, room: str, escape: str) -> None:
    player = server.connect(room)
    player.send_text(f'["new_player","{escape}"]')
    assert [command[0] for command in player.receive_commands()] == ["error"]
    player.enter("another")


@pytest.mark.differs
def test_escaped_pairs_are_characters(server: RunningServer, room: str) -> None:
    player = server.connect(room)
    player.send_text(r'["new_player","\ud83d\udc0d"]')
    assert player.receive_commands()[0][1] == "\U0001f40d"
