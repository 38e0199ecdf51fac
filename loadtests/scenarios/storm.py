"""A tenth is connected when all the others connect at the same moment: what a rush costs those who are in."""

from locust import task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakeUser


class Crowd(SnakeUser):
    """Connects early (one in ten), or with all the others."""

    @task
    def rush_in(self) -> None:
        """Connect and stay."""
        if self.is_among(percent=10):
            self.enter()
        else:
            self.wait_for_stage()
            self.enter(at_once=True)
        self.stay()


SCENARIO = Scenario("a tenth watches while all the others connect at once", user=Crowd, settled=False)
