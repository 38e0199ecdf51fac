"""The server's /echo: messages at a rate of our own (an open loop), or each when the last came back (a closed one)."""

from locust import task

from loadtests.scenario import Scenario
from loadtests.surroundings.reachability import ECHO_PATH
from loadtests.users.game_users import EchoUser


class Caller(EchoUser):
    """Calls, and listens to the echo."""

    @task
    def call(self) -> None:
        """Come in, and call until the end."""
        if self.enter():
            self.keep_sending()
        self.stay()


SCENARIO = Scenario("messages to the server's /echo and back (--echo-rate)", user=Caller, path=ECHO_PATH, pings=False)
