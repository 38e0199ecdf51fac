"""Messages to the server's /echo and back, at a fixed rate (open loop) or when the last came back (closed loop)."""

from locust import task

from loadtests.scenario import Scenario
from loadtests.surroundings.reachability import ECHO_PATH
from loadtests.users.game_users import EchoUser


class Caller(EchoUser):
    """Sends messages, and gets them back."""

    @task
    def call(self) -> None:
        """Connect, and send until the end."""
        if self.enter():
            self.keep_sending()
        self.stay()


SCENARIO = Scenario("messages to the server's /echo and back (--echo-rate)", user=Caller, path=ECHO_PATH, pings=False)
