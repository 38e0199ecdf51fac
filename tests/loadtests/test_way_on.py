"""How far players look ahead: as far as a snake goes until their key counts."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from loadtests.users import SnakePlayer


@pytest.mark.parametrize(("speed", "cells"), [(20.0, 7), (4.0, 2)])
def test_players_look_as_far_as_their_snake_goes(speed: float, cells: int) -> None:
    looked: list[int] = []

    def way_out(_player: int, lookahead: int) -> int:
        looked.append(lookahead)
        return 37

    player = SimpleNamespace(
        player_id=1, worker=SimpleNamespace(tick_rate_hz=20.0, speed=speed), board=SimpleNamespace(way_out=way_out)
    )
    assert SnakePlayer.way_on(cast("Any", player), seconds=0.25, whim=0.0) == 37
    assert looked == [cells]
