"""A fifth is connected when the window opens, another fifth comes with each of its four later stages."""

from locust import task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakeUser

STAGES = 5


class Climber(SnakeUser):
    """Connects with one of the stages, and stays."""

    @task
    def climb(self) -> None:
        """Wait for the stage, connect and stay."""
        stage = self.number % STAGES
        if stage:
            self.wait_for_stage(stage)
        self.enter()
        self.stay()


SCENARIO = Scenario("users come in five stages, each measured apart", user=Climber, stages=STAGES)
