"""Random bytes, torn frames, half handshakes and floods while others play: they must not notice."""

import json
import os
import subprocess
import sys
from contextlib import closing

import pytest

from tests.conftest import Serve
from tests.support.crowd import Crowd
from tests.support.server import wait_until

pytestmark = pytest.mark.differs()

SECONDS = float(os.environ.get("TICKBENCH_ABUSE_SECONDS", "8"))
PLAYERS = 50


@pytest.mark.timeout(SECONDS + 90)
def test_abuse_is_nobody_elses_trouble(serve: Serve) -> None:
    limits = ["--handshake-limit", "1", "--new-player-limit", "1"]
    with serve(*limits, "--tick-budget", "0") as server, closing(Crowd(server, PLAYERS)) as crowd:
        crowd.play(0.5)
        fds = server.stats()["process"]["fds"]
        command = [sys.executable, "-m", "tests.support.attacker", str(server.address[1]), str(SECONDS), "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as attacker:
            try:
                while attacker.poll() is None:
                    crowd.play(0.2)
                told = json.loads(attacker.communicate()[0])
            finally:
                attacker.kill()
        assert attacker.returncode == 0
        assert told["attacks"] > 10 * SECONDS
        assert server.request("/healthz").status == 200

        def all_is_quiet() -> bool:
            crowd.play(0.1)
            stats = server.stats()
            return bool(stats["process"]["fds"] <= fds and stats["connections"] == PLAYERS)

        wait_until(all_is_quiet, 20)
        crowd.finish()
        room = server.room_stats("main")
        assert room is not None
        crowd.assert_nothing_was_lost(room["skipped_ticks"])
