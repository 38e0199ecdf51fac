"""
Who comes to the game, and what they do there.

    locust -f loadtests/locustfile.py --host ws://127.0.0.1:8000

Which of them come is the scenario's choice (``--scenario``, scenarios.py). They know nothing of how frames are timed.
"""

from locust import between, events, task

from loadtests.hooks import install
from loadtests.users import SnakePlayer, SnakeUser

install(events)


class Spectator(SnakeUser):
    """Comes in, sits down and watches."""

    @task
    def watch(self) -> None:
        """Stay until the lights go out."""
        self.stay_to_the_end()


class Player(SnakePlayer):
    """Steers a snake, as long as it lives, and then another."""

    wait_time = between(0.1, 0.25)

    @task
    def play(self) -> None:
        """Look at the board, and press a key if it takes one to stay alive."""
        self.leave_if_over()
        if not self.is_alive():
            self.join()
        elif key := self.way_out(seconds=0.25):
            self.press(key)
