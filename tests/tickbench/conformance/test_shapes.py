from typing import Any

import pytest

from tickbench.conformance import shapes

SOUND: list[list[Any]] = [
    ["handshake", "Ada", 1],
    ["world", [[[" ", 0], ["%", 3]], [["1", 2], [" ", 0]]]],
    ["reset_world"],
    ["render", 0, 24, "@", 6],
    ["p_joined", 7, "Ada", 3, 0],
    ["p_score", 7, 9],
    ["p_gameover", 7],
    ["top_scores", []],
    ["top_scores", [["Ada", 9, 1], ["\U0001f40d", 0, 2]]],
    ["error", "why"],
    ["tick", 0, 1_700_000_000_000_000, 1_700_000_000_000_001],
    ["pong", -1.5, 1_700_000_000_000_000],
    ["pad", ""],
]
UNSOUND: list[list[Any]] = [
    ["handshake", "Ada"],
    ["handshake", "", 1],
    ["handshake", "x" * 16, 1],
    ["handshake", "Ada", "1"],
    ["handshake", "Ada", True],
    ["world", [[[" "]]]],
    ["world", [[["ab", 0]]]],
    ["reset_world", 1],
    ["render", -1, 0, "@", 1],
    ["render", 0, 0, "", 1],
    ["render", 0, 0, "@", "red"],
    ["p_joined", 7, "Ada", 3],
    ["p_score", 7, 1.5],
    ["p_gameover"],
    ["top_scores", [["Ada", "9", 1]]],
    ["error", ""],
    ["error", "why", 400],
    ["tick", 1.5, 1, 1],
    ["tick", 1, 1],
    ["pong", "1", 1],
    ["pong", 1],
    ["pad", 5],
]


@pytest.mark.parametrize("command", SOUND, ids=repr)
def test_a_command_of_the_table_is_sound(command: list[Any]) -> None:
    assert shapes.flaw(command) is None
    assert shapes.is_sound(command)


@pytest.mark.parametrize("command", UNSOUND, ids=repr)
def test_another_is_not(command: list[Any]) -> None:
    assert shapes.flaw(command)
    assert not shapes.is_sound(command)


@pytest.mark.parametrize("rows", [[], [[]], [[[" ", 0]], [[" ", 0], [" ", 0]]]])
def test_rows_of_a_world_are_equally_long(rows: list[Any]) -> None:
    assert shapes.flaw(["world", rows])
    assert shapes.is_sound(["world", rows])  # it can be drawn


def test_every_command_has_words() -> None:
    assert all(words for _, words in shapes.SHAPES.values())
    assert {command[0] for command in SOUND} == set(shapes.SHAPES)
    assert not shapes.is_sound(["hello"])


@pytest.mark.parametrize("text", ["", "1", "[]", "{}", "[[]]", '["tick",1]', "[[1]]", "[" * 100_000, '[["x"],2]'])
def test_what_is_no_array_of_commands(text: str) -> None:
    assert shapes.decode(text) is None


def test_commands_are_decoded() -> None:
    assert shapes.decode('[["reset_world"],["hello",1]]') == [["reset_world"], ["hello", 1]]


@pytest.mark.parametrize(
    ("text", "spaced"),
    [
        ('[["error","a b"]]', False),
        ('[["error","a \\" b"]]', False),
        ('[["error","\\\\"]]', False),
        ('[["error","\\\\" ]]', True),
        ('[["error", "a"]]', True),
        ('[["tick",1,2,3]]\n', True),
    ],
)
def test_white_space_counts_between_tokens_only(text: str, *, spaced: bool) -> None:
    assert shapes.has_white_space(text) is spaced
