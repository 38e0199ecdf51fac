"""Most users watch, while a share comes and goes: one or two seconds connected, then up to half a second away."""

import random

from locust import task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakeUser


class Visitor(SnakeUser):
    """Watches, or is one of those that come and go, which are counted apart."""

    @task
    def visit(self) -> None:
        """Connect and stay, or connect and leave again and again until the end."""
        if not self.is_among(self.options.share_percent):
            self.enter()
            self.stay()
        self.wait_for_stage()
        while True:
            self.enter(group="leavers", at_once=True)
            self.rest(random.uniform(1, 2))
            self.leave()
            self.rest(random.uniform(0.1, 0.5))


SCENARIO = Scenario("a share comes and goes all the time (--share), the others watch", user=Visitor, settled=False)
