import json
from typing import Any

import pytest

from loadtests.users.board import DIRECTIONS, KEYS, Board, Head

LEFT, UP, RIGHT, DOWN = (-1, 0), (0, -1), (1, 0), (0, 1)


def text(*commands: list[Any]) -> bytes:
    return json.dumps(commands).encode()


def field(*rows: str) -> bytes:
    return text(["handshake", "load0", 7], ["world", [[[char, 0] for char in row] for row in rows]])


def tick(n: int, *commands: list[Any]) -> bytes:
    return text(["tick", n, 0, 0], *commands)


def cell(x: int, y: int, char: str) -> list[Any]:
    return ["render", x, y, char, 1]


@pytest.fixture
def board() -> Board:
    """A field of 8 x 5 with a snake of player 7 at (3, 2) that goes right."""
    board = Board()
    board.take(-1, field("        ", "  #     ", "        ", "   5    ", "        "))
    born = [["p_joined", 7, "load0", 1, 0], cell(3, 2, "%"), cell(2, 2, "@"), cell(1, 2, "*")]
    board.take(0, tick(0, *born))
    return board


def test_a_birth_is_seen(board: Board) -> None:
    assert board.heads == {7: Head((3, 2), RIGHT)}


def test_what_is_free(board: Board) -> None:
    assert board.is_free((0, 0))
    assert board.is_free((3, 3)), "a digit is food"
    assert not board.is_free((2, 1)), "a stone"
    assert not board.is_free((2, 2)), "a snake"
    assert not board.is_free((-1, 0))
    assert not board.is_free((8, 0))
    assert not board.is_free((0, 5))
    assert board.free_cells((3, 2), RIGHT, 10) == 4
    assert board.free_cells((3, 2), RIGHT, 2) == 2
    assert board.free_cells((3, 2), LEFT, 10) == 0


def test_a_step_is_followed(board: Board) -> None:
    board.take(1, tick(1, cell(4, 2, "%"), cell(3, 2, "@"), cell(1, 2, " "), cell(2, 2, "*")))
    assert board.heads == {7: Head((4, 2), RIGHT)}
    assert board.is_free((1, 2))
    board.take(2, tick(2, cell(4, 1, "%"), cell(4, 2, "@"), cell(2, 2, " "), cell(3, 2, "*")))
    assert board.heads == {7: Head((4, 1), UP, turned_n=2)}


def test_a_turn_is_remembered_until_the_next_one(board: Board) -> None:
    assert board.heads[7].turned_n == -1, "its birth is no turn"
    board.take(4, tick(4, cell(3, 1, "%"), cell(3, 2, "@")))
    board.take(5, tick(5, cell(3, 0, "%"), cell(3, 1, "@")))
    assert board.heads[7] == Head((3, 0), UP, turned_n=4)
    board.take(6, tick(6, cell(4, 0, "%"), cell(3, 0, "@")))
    assert board.heads[7] == Head((4, 0), RIGHT, turned_n=6)
    assert board.last_n == 6


def test_each_tick_counts_once(board: Board) -> None:
    step = tick(1, cell(4, 2, "%"), cell(3, 2, "@"))
    board.take(1, step)
    board.take(1, step)
    board.take(0, tick(0, ["reset_world"]))
    board.take(-1, field("  ", "  "))
    assert board.heads == {7: Head((4, 2), RIGHT)}
    assert not board.is_free((3, 2))
    assert board.width == 8


def test_a_death_and_a_new_round(board: Board) -> None:
    board.take(1, tick(1, ["p_gameover", 7], cell(3, 2, "x"), cell(2, 2, "@")))
    assert board.heads == {}
    assert not board.is_free((3, 2))
    board.take(2, tick(2, ["reset_world"]))
    assert board.is_free((3, 2))


def test_other_snakes_are_not_mistaken_for_ours(board: Board) -> None:
    board.take(1, tick(1, cell(5, 0, "%"), cell(5, 1, "@"), cell(4, 2, "%"), cell(3, 2, "@")))
    assert board.heads == {7: Head((4, 2), RIGHT)}


def test_no_key_while_the_way_is_free(board: Board) -> None:
    assert board.way_out(7, lookahead=4) is None


def test_the_freest_way_is_taken_before_the_wall(board: Board) -> None:
    board.take(1, tick(1, cell(7, 2, "%"), cell(3, 2, "@"), cell(7, 1, "#")))
    board.heads[7] = Head((7, 2), RIGHT)
    assert board.way_out(7, lookahead=2) == KEYS[DOWN]


def test_where_all_ways_are_blocked_no_key_is_pressed(board: Board) -> None:
    board.take(1, tick(1, cell(4, 2, "#"), cell(3, 1, "#"), cell(3, 3, "#")))
    assert board.way_out(7, lookahead=3) is None


def test_a_snake_that_was_not_seen_is_not_steered(board: Board) -> None:
    assert board.way_out(99, lookahead=3) is None
    assert board.side_way(99, lookahead=0) is None


def test_a_way_aside_is_one_that_is_free(board: Board) -> None:
    assert board.side_way(7, lookahead=2) == KEYS[DOWN], "food can be eaten"
    assert board.side_way(7, lookahead=3) is None, "the field ends there"
    board.take(1, tick(1, cell(3, 3, "#")))
    assert board.side_way(7, lookahead=2) == KEYS[UP]
    board.take(2, tick(2, cell(3, 0, "#")))
    assert board.side_way(7, lookahead=2) is None
    assert board.side_way(7, lookahead=1) == KEYS[UP]


def test_keys_and_directions_are_each_other_s() -> None:
    assert {key: DIRECTIONS[key] for key in KEYS.values()} == {key: way for way, key in KEYS.items()}
    assert len(DIRECTIONS) == 4


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff",
        b"37",
        b'[["render"]]',
        b'[["render",1,2,3,4]]',
        b'[["render",[4],2,"#",1]]',
        b'[["render",4,null,"#",1]]',
        b'[["render",true,2,"#",1]]',
        b'[["render",4,2,"#",1,0]]',
        b'[["world",[]]]',
        b'[["world",[1]]]',
        b"[[]]",
        b"[" * 50_000,
        b"[[" + b"[" * 50_000 + b"]" * 50_000 + b"]]",
        b'[["reset_world"],["p_gameover",7]',
    ],
)
def test_nonsense_changes_nothing(board: Board, message: bytes) -> None:
    board.take(5, message)
    assert board.heads == {7: Head((3, 2), RIGHT)}
    assert board.width == 8
    assert board.free_cells((3, 2), RIGHT, 10) == 4


@pytest.mark.parametrize(
    "world", [[], {}, 7, [7], [[], 7], [[["#", 0]], None], ["abc"], [[["#"]]], [[7, None, {}]], [[[{}, 0]]]]
)
def test_a_world_that_is_none_is_nobody_s_end(world: Any) -> None:
    board = Board()
    board.take(-1, text(["handshake", "load0", 7], ["world", world]))
    board.take(0, tick(0, ["world", world], cell(1, 1, "#")))
    assert not board.is_free((1, 1))
