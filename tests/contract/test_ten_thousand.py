"""
Ten thousand at once: how quickly they come in, and what each weighs.

At full size only: it takes most of what a machine has of descriptors, in the server and in the test each.
"""

import resource
import time
from collections import deque
from collections.abc import Iterator

import pytest

from tests.conftest import Serve
from tests.support.swarm import Swarm, Visitor

pytestmark = pytest.mark.full_size

CONNECTIONS = 10_000
IN_FLIGHT = 200
"""Dialled and not let in yet: the next one comes as soon as there are fewer."""

SPARE_FDS = 100
CONNECTS_HZ = 1500
MOST_BYTES = {"asyncio": 16 * 1024, "gevent": 28 * 1024}
"""Of the server's memory, a connection."""


class Newcomer(Visitor):
    """One of the many, which all ask in the same words."""

    asks = Visitor()

    def __init__(self) -> None:
        super().__init__()
        self.request, self.greeting = self.asks.request, self.asks.greeting


@pytest.fixture
def descriptors() -> Iterator[None]:
    """As many as this process may have, and so its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CONNECTIONS + SPARE_FDS:
        pytest.skip(f"{hard} descriptors a process are too few")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("descriptors")
def test_ten_thousand_come_in_and_are_told_a_tick(serve: Serve) -> None:
    with serve("--tick-rate", "0.5") as server, Swarm(server.address) as swarm:
        before = server.stats()["process"]
        newcomers = [Newcomer() for _ in range(CONNECTIONS)]
        coming, waiting = deque(newcomers), deque[Newcomer]()
        began_s = time.monotonic()
        while coming or waiting:
            while coming and len(waiting) < IN_FLIGHT:
                waiting.append(coming.popleft())
                swarm.dial(waiting[-1])
            swarm.turn()
            while waiting and waiting[0].answer:
                waiting.popleft()
            assert not (waiting and waiting[0].ending), "turned away"
        took_s = time.monotonic() - began_s
        rate_hz = CONNECTIONS / took_s
        busy = (server.stats()["process"]["cpu_s"] - before["cpu_s"]) / took_s

        swarm.run_until(lambda: all(newcomer.ticks or newcomer.ending for newcomer in newcomers), 30)
        assert all(newcomer.is_in for newcomer in newcomers)
        assert not [newcomer for newcomer in newcomers if newcomer.ending]
        stats = server.stats()
        assert stats["connections"] == CONNECTIONS
        each = (stats["process"]["rss_bytes"] - before["rss_bytes"]) / CONNECTIONS
        print(  # noqa: T201 # the figures are asked for
            f"\n{server.backend}: {CONNECTIONS} came in, {rate_hz:.0f} a second, the server busy for {busy:.0%} of the "
            f"time; {each / 1024:.1f} KiB a connection; fan-out p50 {stats['ticks']['fanout_ms']['p50']:.0f} ms"
        )
        assert rate_hz >= CONNECTS_HZ
        assert each <= MOST_BYTES[server.backend]
