"""All users connect and then never send anything, not even a ping: what an idle connection costs."""

from locust import task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakeUser


class Sleeper(SnakeUser):
    """Connects, and only receives."""

    @task
    def sleep(self) -> None:
        """Connect and stay."""
        self.enter()
        self.stay()


SCENARIO = Scenario(
    "everybody watches and nobody ever says a word", user=Sleeper, pings=False, in_slots=True, reconnects=False
)
