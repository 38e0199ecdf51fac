"""All users play, in rooms of ten: they press keys at a human rate, and ask for a new snake when theirs has died."""

from locust import between, task

from loadtests.scenario import Scenario
from loadtests.users.game_users import SnakePlayer


class Player(SnakePlayer):
    """Steers a snake as long as it lives, and then the next one."""

    wait_time = between(0.1, 0.25)

    def on_start(self) -> None:
        """Connect."""
        super().on_start()
        self.enter()

    @task
    def play(self) -> None:
        """Press a key if the snake needs one to stay alive, and now and then at random."""
        if (self.connection is None or not self.connection.ticking) and not self.come_back():
            self.go_home()
        if not self.is_alive():
            self.join()
        elif key := self.way_on(seconds=0.25, whim=0.1):
            self.press(key)


SCENARIO = Scenario("everybody plays, in rooms of ten", user=Player, room_size=10, in_slots=True, reconnects=False)
