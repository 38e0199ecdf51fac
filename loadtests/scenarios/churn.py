"""Most watch in peace, while a share comes and goes: a second or two inside, a moment outside."""

import random

from locust import task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakeUser


class Guest(SnakeUser):
    """Stays, or is one of those that come and go and are counted apart."""

    @task
    def visit(self) -> None:
        """Come in and stay, or come and go until the end."""
        if not self.is_among(self.options.share_percent):
            self.enter()
            self.stay()
        self.wait_for_stage()
        while True:
            self.enter(group="leavers", at_once=True)
            self.rest(random.uniform(1, 2))
            self.leave()
            self.rest(random.uniform(0.1, 0.5))


SCENARIO = Scenario("a share comes and goes all the time (--share), the others watch", user=Guest, settled=False)
