"""What players say while they stand still: nothing. In a child process: Locust's users would patch the tests'."""

import subprocess
import sys

from tests.loadtests.conftest import PATIENCE_S, ROOT

STORY = """
from types import SimpleNamespace
from locust.env import Environment
from loadtests.scenarios.players import Player

said = []
worker = SimpleNamespace(new_user=lambda: 0, room_of=lambda _: "r0", speed=20.0, tick_rate_hz=20.0, stands_still=True)
Player.worker = worker
player = Player(Environment())
player.connection = SimpleNamespace(ticking=True, send_text=said.append)
player.player_id = 1
for alive in (False, True):
    player.is_alive = lambda: alive
    player.way_on = lambda **_: 37
    player.play()
print(said)
worker.stands_still = False
for alive in (False, True):
    player.is_alive = lambda: alive
    player.play()
print(said)
"""


def test_they_hold_their_keys_while_the_server_is_stopped_and_go_on_after_it() -> None:
    command = [sys.executable, "-c", STORY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.stdout.splitlines(), done.stderr) == (["[]", "[b'[\"join\"]', b'37']"], "")
