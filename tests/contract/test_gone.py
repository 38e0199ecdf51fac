"""One who has gone while its messages are answered is nobody's trouble, and no line of the log."""

import pytest

from tests.conftest import Serve
from tests.support.client import PING, TEXT, client_frame
from tests.support.server import wait_until

pytestmark = [pytest.mark.differs("condition", "process"), pytest.mark.framework("library")]

ASKED = 40
"""In one piece: the answer to the first finds nobody, and the others follow at once."""


@pytest.mark.parametrize("fanout", ["frame-once", "library"])
def test_one_who_asks_and_is_gone(serve: Serve, fanout: str) -> None:
    messages = [client_frame(TEXT, b'["ping",1]'), client_frame(PING, b"1")]
    with serve("--fanout", fanout, "--tick-budget", "0", "--max-messages", "1000", logs=True) as server:
        for number in range(12):
            player = server.connect("main")
            if number % 3:
                player.enter("somebody")
            player.send_raw(messages[number % 2] * ASKED)
            player.sock.close()
        wait_until(lambda: server.stats()["connections"] == 0)
        assert not server.log
