import time
from pathlib import Path

import gevent

from loadtests.surroundings.hub_lag import PERIOD_NS, HubLag
from shared.measure.histogram import Histogram

PERIOD_S = PERIOD_NS / 1e9


def test_every_period_is_counted_once() -> None:
    probe = HubLag()
    started_s = time.monotonic()
    assert probe.start()
    try:
        gevent.sleep(0.2)
        time.sleep(0.1)  # the hub is held up
        gevent.sleep(0.001)
        elapsed_s = time.monotonic() - started_s
        assert probe.lag.count <= elapsed_s / PERIOD_S
        assert probe.lag.count >= 0.3 / PERIOD_S - 2
        # The first due time in the 100 ms waits for all that is left of them, the next one period less.
        assert probe.lag.max_us >= 100_000 - PERIOD_NS // 1000 - 1
        probe.lag = Histogram()
        assert probe.lag.count == 0
    finally:
        probe.stop()


def test_nothing_is_left_behind() -> None:
    gevent.sleep(0)  # the hub opens descriptors of its own
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    probe = HubLag()
    assert probe.start()
    probe.stop()
    probe.stop()
    assert len(list(descriptors.iterdir())) == before
