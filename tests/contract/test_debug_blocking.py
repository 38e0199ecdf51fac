"""With ``--debug-blocking`` the server says who blocked its event loop, whichever loop it is; without, not a word."""

import pytest

from shared.server.config import LOOPS
from tests.conftest import Serve
from tests.support.server import wait_until

pytestmark = [
    pytest.mark.modes("managed", "always-on", "on-demand", "condition"),
    pytest.mark.differs(),
]
"""In the others the rules keep nobody's event loop."""

PLANTED = "in planted_block"
TICKS = 25
"""The room blocks in every tenth step, so at least once meanwhile."""


@pytest.fixture(params=[0, 1], ids=["usual-loop", "other-loop"])
def loop(request: pytest.FixtureRequest, backend: str) -> str:
    name: str = LOOPS[backend][request.param]
    return name


def test_who_blocked_is_named(serve: Serve, loop: str) -> None:
    with serve("--debug-blocking", "--loop", loop, "--tick-budget", "0", faulty=True, logs=True) as server:
        assert server.stats()["settings"]["debug_blocking"] is True
        player = server.enter("block")
        wait_until(lambda: PLANTED in server.log)
        player.next_tick()
        lines = server.log.splitlines()
        planted = next(number for number, line in enumerate(lines) if PLANTED in line)
        assert "appears to be blocked" in "".join(lines[:planted])
        assert any("in tick" in line for line in lines[:planted]), "who called it is told, too"
        assert not any("Traceback" in line or "rror" in line for line in lines)


def test_without_the_flag_nobody_is(serve: Serve, loop: str) -> None:
    with serve("--loop", loop, "--tick-budget", "0", faulty=True) as server:
        assert server.stats()["settings"]["debug_blocking"] is False
        player = server.enter("block")
        while player.next_tick().n < TICKS:
            pass
        room = server.room_stats("block")
        assert room, "it is open"
        assert room["skipped_ticks"] > 0, "it did block"
        assert server.log == ""
