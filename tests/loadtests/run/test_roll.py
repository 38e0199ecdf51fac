"""Who is there, and who leaves first."""

from types import SimpleNamespace
from typing import Any, cast

from loadtests.run.roll import Roll


def filled(room_size: int, users: int) -> tuple[Roll, list[Any]]:
    roll = Roll(room_size)
    connections = [SimpleNamespace(ticking=True, number=roll.new_user()) for _ in range(users)]
    for connection in connections:
        roll.note(cast("Any", connection))
    return roll, connections


def test_those_who_came_last_leave_and_are_forgotten() -> None:
    roll, connections = filled(0, 5)
    assert roll.see_off(3) == connections[3:]
    assert (roll.count, roll.see_off(3)) == (3, [])
    assert roll.new_user() == 5, "nobody has the name of one who left"


def test_who_comes_later_is_in_a_room_that_nobody_has_left() -> None:
    roll, _ = filled(10, 25)
    roll.see_off(12)
    assert roll.new_user() == 30


def test_who_is_gone_already_is_not_seen_off_but_missing() -> None:
    roll, connections = filled(0, 4)
    connections[3].ticking = False
    assert roll.see_off(2) == connections[2:3]
    assert roll.count == 3, "one of them left too early: that stays in the accounts"
