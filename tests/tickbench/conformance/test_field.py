from tickbench.conformance.field import BACK, SIDE, STEPS, Field, Living, moved

WORLD = ["world", [[[" ", 0]] * 5, [["#", 0], [" ", 0], ["3", 2], [" ", 0], [" ", 0]]]]


def test_what_is_told_is_drawn() -> None:
    field = Field()
    field.apply([WORLD, ["p_joined", 1, "Ada", 4, 0], ["render", 1, 0, "%", 4], ["p_score", 1, 3]])
    assert (field.width, field.height) == (5, 2)
    assert field.cells == {(0, 1): ("#", 0), (2, 1): ("3", 2), (1, 0): ("%", 4)}
    assert field.living == {1: Living("Ada", 4, 3)}
    field.apply([["render", 1, 0, " ", 0], ["p_gameover", 1], ["p_gameover", 9]])
    assert (1, 0) not in field.cells
    assert not field.living
    field.apply([["reset_world"]])
    assert not field.cells


def test_what_cannot_be_used_is_left() -> None:
    field = Field()
    field.apply([["render", "x"], ["hello"], ["p_joined", 1], ["apply", 1], ["world", [[1]]]])
    assert field == Field()


def test_a_head_may_enter_what_is_empty_or_eaten() -> None:
    field = Field()
    field.apply([WORLD])
    assert field.is_open((0, 0))
    assert field.is_open((2, 1))
    assert not field.is_open((0, 1))
    assert not field.is_open((-1, 0))
    assert not field.is_open((0, 2))


def test_directions_belong_together() -> None:
    for key in STEPS:
        assert moved(moved((3, 3), key), BACK[key]) == (3, 3)
        assert SIDE[key] not in (key, BACK[key])
    assert moved((0, 0), 39, 2) == (2, 0)
