"""A fifth watches; for the middle third of the time all the others come too, at once, and go again."""

from locust import task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakeUser


class Passerby(SnakeUser):
    """Stays all the time, one in five, or comes for the spike."""

    @task
    def drop_in(self) -> None:
        """Come in and stay, or come with the crowd and go with it."""
        if self.is_among(percent=20):
            self.enter()
            self.stay()
        self.wait_for_stage(1)
        self.enter(group="spike", at_once=True)
        self.wait_for_stage(2)
        self.leave()
        self.go_home()


SCENARIO = Scenario("a fifth watches; the others come for the middle third of the time", user=Passerby, stages=3)
