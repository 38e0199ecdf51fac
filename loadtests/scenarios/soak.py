"""A mix of watchers, players and users that come and go, for hours: what grows, leaks or slows down with time."""

import random

from locust import task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakePlayer


class Inhabitant(SnakePlayer):
    """Watches; one in ten plays, another one in ten comes and goes, and is counted apart."""

    @task
    def live(self) -> None:
        """Watch, play, or come and go, until the end."""
        if self.number % 10 == 1:
            self.come_and_go()
        self.enter()
        if self.number % 10 == 0:
            self.play()
        self.stay()

    def listens(self) -> bool:
        """Return whether this user plays, and so looks at the board."""
        return self.number % 10 == 0

    def play(self) -> None:
        """Steer a snake as long as it lives, and then the next one."""
        while self.connection is not None and self.connection.ticking:
            if not self.is_alive():
                self.join()
            elif key := self.way_on(seconds=0.25, whim=0.1):
                self.press(key)
            self.rest(random.uniform(0.1, 0.25))

    def come_and_go(self) -> None:
        """Connect and leave, again and again."""
        self.wait_for_stage()
        while True:
            self.enter(group="leavers", at_once=True)
            self.rest(random.uniform(5, 15))
            self.leave()
            self.rest(random.uniform(0.5, 2))


SCENARIO = Scenario(
    "watchers, players and some that come and go, in rooms of fifty, each tenth of the time measured apart",
    user=Inhabitant,
    room_size=50,
    stages=10,
    settled=False,
)
