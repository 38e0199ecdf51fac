"""What has to be known of each scenario elsewhere. Asked of a child process, as Locust would patch the tests'."""

import json
import subprocess
import sys

import pytest

from tests.loadtests.conftest import PATIENCE_S, ROOT
from tickbench.compare.suite import IN_ROOMS
from tickbench.verdict.same_work import SCENARIOS

pytestmark = pytest.mark.xdist_group("scenarios")  # one child process

STORY = """
import json
from loadtests.scenarios import all_scenarios
from loadtests.users.game_users import EchoUser, SnakePlayer

print(json.dumps({
    name: [scenario.user.__name__, scenario.room_size, not issubclass(scenario.user, (SnakePlayer, EchoUser))]
    for name, scenario in all_scenarios().items()
}))
"""


@pytest.fixture(scope="module")
def scenarios() -> dict[str, tuple[str, int, bool]]:
    """By name: the user class, the size of rooms, and whether nobody says what the rules react to."""
    done = subprocess.run(
        [sys.executable, "-c", STORY], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    return {name: tuple(told) for name, told in json.loads(done.stdout).items()}


def test_no_two_user_classes_have_one_name(scenarios: dict[str, tuple[str, int, bool]]) -> None:
    """Locust knows them by name: of two it would start neither, but the users of all scenarios."""
    names = sorted(user for user, _, _ in scenarios.values())
    assert names == sorted(set(names))


def test_a_report_says_rooms_where_a_scenario_has_some(scenarios: dict[str, tuple[str, int, bool]]) -> None:
    in_rooms = {name for name, (_, room_size, _) in scenarios.items() if room_size}
    assert in_rooms == set(IN_ROOMS), "IN_ROOMS of tickbench/report/words.py has those with a room_size"


def test_work_is_compared_where_nobody_says_what_the_rules_react_to(
    scenarios: dict[str, tuple[str, int, bool]],
) -> None:
    silent = {name for name, (_, _, is_silent) in scenarios.items() if is_silent}
    assert silent == set(SCENARIOS), "SCENARIOS of tickbench/verdict/same_work.py has those whose users only watch"
