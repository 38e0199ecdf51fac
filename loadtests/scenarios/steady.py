"""All users connect before the window, and watch the same game until its end."""

from locust import task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakeUser


class Spectator(SnakeUser):
    """Watches until the end."""

    @task
    def watch(self) -> None:
        """Connect and stay."""
        self.enter()
        self.stay()


SCENARIO = Scenario("everybody watches", user=Spectator, in_slots=True, reconnects=False)
