"""Many come in, and nobody ever says a word again: what a connection costs that does nothing."""

from locust import task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakeUser


class Sleeper(SnakeUser):
    """Is there, and that is all."""

    @task
    def sleep(self) -> None:
        """Come in and stay."""
        self.enter()
        self.stay()


SCENARIO = Scenario("everybody watches and nobody ever says a word", user=Sleeper, pings=False)
