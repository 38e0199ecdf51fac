"""
All users watch, in rooms of ten, while whoever runs the server brings a new version: those sent away come back.

Servers are restarted from outside, such as by ``kill -HUP`` of ``tickbench cluster``; the scenario knows nothing of it.
"""

from locust import task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakeUser


class Regular(SnakeUser):
    """Watches until the end, over as many connections as that takes."""

    @task
    def watch(self) -> None:
        """Connect and stay."""
        self.enter()
        self.stay()


SCENARIO = Scenario(
    "everybody watches, in rooms of ten, and whom the server sends away comes back; each tenth of the time apart",
    user=Regular,
    room_size=10,
    stages=10,
    settled=False,
    reconnects=True,
)
