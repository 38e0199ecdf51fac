"""A share stops reading when the window opens; the others should not notice."""

from locust import task

from loadtests.account.counts import STALLED
from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakeUser


class Onlooker(SnakeUser):
    """Watches, or is one of those that stop reading, which are counted apart."""

    @task
    def watch(self) -> None:
        """Connect and stay, reading or not."""
        if not self.is_among(self.options.share_percent):
            self.enter()
            self.stay()
        self.enter(group=STALLED)
        self.wait_for_stage()
        self.stop_reading()
        self.stay()


SCENARIO = Scenario(
    "a share stops reading when the measuring begins (--share), the others watch",
    user=Onlooker,
    stages=20,
    settled=False,
)
