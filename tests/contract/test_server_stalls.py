"""When the server was held up, what its peers said meanwhile is judged by when they can have said it."""

import signal
import time
from contextlib import suppress

import pytest

from tests.conftest import Serve
from tests.support.client import TEXT, Client, client_frame, request_bytes, upgrade_headers
from tests.support.server import RunningServer

pytestmark = pytest.mark.differs

STOP_S = 1.5
BEAT_S = 0.02
KEY = client_frame(TEXT, b"65")


def say(speakers: dict[Client, int], seconds: float) -> None:
    """Let each say so many messages every 20 ms, or less often where the machine is slow, and never more."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for client, messages in speakers.items():
            with suppress(ConnectionError):  # it is closed by now
                client.send_raw(KEY * messages)
        time.sleep(BEAT_S)


def stop_for(server: RunningServer, speakers: dict[Client, int], seconds: float) -> None:
    """Hold the server up, and let the others go on."""
    server.signal(signal.SIGSTOP)
    try:
        say(speakers, seconds)
    finally:
        server.signal(signal.SIGCONT)


def test_after_a_stop_who_kept_the_rate_plays_on_and_who_flooded_is_closed(serve: Serve) -> None:
    with serve() as server:
        good, slow, flooder = (server.enter("main", name) for name in ("good", "slow", "flooder"))
        say({good: 1}, 1)
        stop_for(server, {good: 1, flooder: 4}, STOP_S)
        say({good: 1}, 1)
        good.ping()
        slow.ping()
        assert flooder.expect_close() == 1008
        assert server.stats()["closed"] == {"1008": 1}


def test_after_a_stop_the_rest_of_a_handshake_that_lies_unread_is_read(serve: Serve) -> None:
    request = request_bytes("GET", "/connect", upgrade_headers({}))
    with serve("--handshake-limit", "0.5") as server:
        whole, half, silent = (server.keep_alive() for _ in range(3))
        for player in (whole, half):
            player.send_raw(request[:50])
        server.signal(signal.SIGSTOP)
        try:
            whole.send_raw(request[50:])
            half.send_raw(request[50:60])
            time.sleep(STOP_S)
        finally:
            server.signal(signal.SIGCONT)
        assert whole.read_response().status == 101
        whole.enter()
        for player in (half, silent):
            assert player.read_to_eof() == b""


def test_after_a_stop_nobody_is_out_of_time_whose_words_lie_unread(serve: Serve) -> None:
    limits = ("--new-player-limit", "1", "--ping-interval", "1", "--max-missed-pings", "1", "--close-limit", "0.5")
    with serve(*limits, "--slow-limit", "0.5") as server:
        player, newcomer, leaver, silent = (server.connect("main") for _ in range(4))
        player.enter()
        server.signal(signal.SIGSTOP)
        try:
            newcomer.send(["new_player", "in time"])
            time.sleep(1.2 * STOP_S)
        finally:
            server.signal(signal.SIGCONT)
        assert newcomer.receive_commands()[0][0] == "handshake"
        assert leaver.expect_close() == silent.expect_close() == 1008
        player.ping()
        assert server.stats()["dead"] == 0
