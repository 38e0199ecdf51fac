"""What users do whom Locust starts where no run can begin. In a child process, as Locust would patch the tests'."""

import subprocess
import sys

from tests.loadtests.conftest import PATIENCE_S, ROOT

STORY = """
from locust.env import Environment
from locust.exception import StopUser
from loadtests.scenarios import all_scenarios
from loadtests.users.game_users import SnakeUser

SnakeUser.is_off = True
for name, scenario in all_scenarios().items():
    user = scenario.user(Environment())
    try:
        user.on_start()
    except StopUser:
        print(name)
"""


def test_users_of_every_scenario_stop_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STORY], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.stderr == ""
    assert {"players", "steady", "echo"} <= set(done.stdout.split())
