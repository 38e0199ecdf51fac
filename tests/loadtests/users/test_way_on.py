"""How far players look ahead. In a child process: importing Locust's users would patch the tests'."""

import subprocess
import sys

import pytest

from tests.loadtests.conftest import PATIENCE_S, ROOT

STORY = """
import sys
from types import SimpleNamespace
from loadtests.users.game_users import SnakePlayer

def way_out(_player, lookahead):
    print(lookahead)
    return 37

worker = SimpleNamespace(tick_rate_hz=20.0, speed=float(sys.argv[1]))
player = SimpleNamespace(player_id=1, worker=worker, board=SimpleNamespace(way_out=way_out))
print(SnakePlayer.way_on(player, seconds=0.25, whim=0.0))
"""


@pytest.mark.parametrize(("speed", "cells"), [(20.0, 7), (4.0, 2)])
def test_players_look_as_far_as_their_snake_goes_until_their_key_counts(speed: float, cells: int) -> None:
    command = [sys.executable, "-c", STORY, str(speed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.stdout.split(), done.stderr) == ([str(cells), "37"], "")
