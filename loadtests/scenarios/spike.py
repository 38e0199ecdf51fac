"""A fifth watches; all the others connect at once for the middle third of the window, and leave again."""

from locust import task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakeUser


class Passerby(SnakeUser):
    """Stays all the time (one in five), or comes for the spike."""

    @task
    def drop_in(self) -> None:
        """Connect and stay, or connect and leave with all the others of the spike."""
        if self.is_among(percent=20):
            self.enter()
            self.stay()
        self.wait_for_stage(1)
        self.enter(group="spike", at_once=True)
        self.wait_for_stage(2)
        self.leave()
        self.go_home()


SCENARIO = Scenario("a fifth watches; the others come for the middle third of the time", user=Passerby, stages=3)
