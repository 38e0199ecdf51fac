"""A fifth comes before the measuring, and another fifth with each of its steps: the load at which it begins to hurt."""

from locust import task

from loadtests.scenario import Scenario
from loadtests.users import SnakeUser

STEPS = 5


class Climber(SnakeUser):
    """Comes with one of the steps, and stays."""

    @task
    def climb(self) -> None:
        """Wait for the step, come in and stay."""
        step = self.number % STEPS
        if step:
            self.wait_for_step(step)
        self.enter()
        self.stay()


SCENARIO = Scenario("users come in five steps, each measured apart", user=Climber, steps=STEPS)
