"""
All users watch, in rooms of ten, while something dies between them and the game: those cut off come back.

What is to die is killed from outside, such as by ``python -m tests.bench.failover``; the scenario knows nothing of it.
"""

from locust import task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakeUser


class Survivor(SnakeUser):
    """Watches until the end, over as many connections as that takes."""

    @task
    def watch(self) -> None:
        """Connect and stay."""
        self.enter()
        self.stay()


SCENARIO = Scenario(
    "everybody watches, in rooms of ten, and who is cut off as something dies comes back",
    user=Survivor,
    room_size=10,
    settled=False,
    reconnects=True,
)
