"""Everybody comes in, sits down and watches the same game."""

from locust import task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakeUser


class Spectator(SnakeUser):
    """Watches until the lights go out."""

    @task
    def watch(self) -> None:
        """Come in and stay."""
        self.enter()
        self.stay()


SCENARIO = Scenario("everybody watches", user=Spectator)
