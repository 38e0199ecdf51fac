"""The page for operators in a real browser: shows what /stats has, waits if it is told to, goes on after a loss."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route

from shared.measure.histogram import Histogram
from shared.measure.prometheus import BUCKETS_US
from tests.conftest import ARMS, Serve, Share
from tests.support.browser import NEEDS_CHROMIUM, Visitor, open_browser
from tests.support.relays import Relay
from tests.support.server import RunningServer, run_server

WIDTHS = (1280, 390)
WELL, WAITS, GONE = (f"#status[data-tone={tone}]" for tone in ("good", "wait", "error"))

of_any_server = pytest.mark.parametrize("arm", ARMS[:1], indirect=True, ids=lambda arm: arm.name, scope="session")
"""What the page does by itself, whichever server it is of."""

pytestmark = [NEEDS_CHROMIUM, pytest.mark.differs(), pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def monitored(share: Share) -> RunningServer:
    return share("--tick-rate", "50", "--tick-budget", "0", "--monitor")


@pytest.fixture
def operator(browser: Browser) -> Iterator[Visitor]:
    operator = Visitor(browser, WIDTHS[0])
    yield operator
    operator.page.close()


def watch(operator: Visitor, server: RunningServer) -> None:
    """Open the page, and see figures on it."""
    operator.page.goto(f"{server.url}/monitor")
    operator.page.wait_for_selector(WELL)


@pytest.mark.parametrize("width", WIDTHS)
def test_shows_rooms_and_figures_and_no_names(
    monitored: RunningServer, browser: Browser, room: str, width: int
) -> None:
    operator = Visitor(browser, width)
    page = operator.page
    player = monitored.enter(room, "zaphod")
    player.join()
    watch(operator, monitored)
    row = page.locator("#rooms-body tr", has_text=room)
    for column in ("members", "living snakes"):
        place = 1 + page.locator("#rooms thead th").all_inner_texts().index(column)
        row.locator(f":nth-child({place})", has_text=re.compile("^1$")).wait_for()
    page.locator("#sums div", has_text="lateness p99").get_by_text(re.compile(r"^[\d.]+ ms$")).wait_for()
    page.wait_for_selector("#bars .bar-minute")
    assert f"pid {monitored.stats()['process']['pid']}" in page.inner_text("#processes-body")
    assert re.search(r"tick_rate_hz\s+50\b", page.inner_text("#settings"))
    assert "zaphod" not in page.content()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert operator.complaints == []
    page.close()


@of_any_server
def test_reads_a_histogram_as_it_was_recorded(monitored: RunningServer, operator: Visitor) -> None:
    histogram = Histogram()
    for us in (1, 49, 50, 51, 2047, 2048, 2049, 10_010, 59_000_000):
        histogram.record(us, 7)
    histogram.record(300, 5_000_000_000)
    watch(operator, monitored)
    bars, percentiles, bounds = operator.page.evaluate(
        """async hdr => {
            const counts = await decodeCounts(hdr);
            return [toBars(counts), [1e-9, 50, 99.9999998].map(percent => percentileUs(counts, percent)), BOUNDS_US];
        }""",
        histogram.summary().hdr,
    )
    assert tuple(bounds) == BUCKETS_US
    up_to = [0, *histogram.counts_up_to(BUCKETS_US), histogram.count]
    assert bars == [after - before for before, after in pairwise(up_to)]
    assert percentiles == [histogram.percentile_us(percent) for percent in (1e-9, 50, 99.9999998)]
    assert operator.page.evaluate("hdr => decodeCounts(hdr)", Histogram().summary().hdr) == []


def stats_of(pid: int, now_s: float, ticks: int) -> dict[str, Any]:
    """Return as much of /stats as is added up, of a process that has skipped as many ticks as it made."""
    histogram = Histogram()
    histogram.record(7, ticks)
    counters = dict.fromkeys(("connections", "slow_skips", "slow_closed", "accepted"), 0)
    made = {"count": ticks, "skipped_ticks": ticks, "start_lateness_ms": {"hdr": histogram.summary().hdr}}
    process = {"pid": pid, "cpu_s": now_s / 4, "rss_bytes": 0}
    now_us = int(now_s * 1_000_000)
    return {**counters, "started_us": 0, "now_us": now_us, "ticks": made, "refused": {}, "process": process}


@of_any_server
def test_the_last_minute_is_of_one_process_and_a_minute(monitored: RunningServer, operator: Visitor) -> None:
    heard = [
        (stats_of(1, 0, 100), 0),
        (stats_of(1, 30, 110), 10),
        (stats_of(1, 59, 120), 20),
        (stats_of(1, 61, 125), 25),
        (stats_of(1, 92, 130), 20),  # since what was heard at 30 s
        (stats_of(2, 93, 40), 0),  # another process
        (stats_of(2, 94, 45), 5),
        (stats_of(2, 200, 60), 0),  # nothing was heard for longer than a minute
    ]
    watch(operator, monitored)
    recent = operator.page.evaluate(
        """async several => {
            const [process, recent] = [new Process(1, null), []];
            for (const stats of several) {
                await process.take(stats);
                recent.push([total(process.recentCounts), process.recent("skipped"), process.cpuPercent]);
            }
            return recent;
        }""",
        [stats for stats, _ in heard],
    )
    assert [ticks for ticks, _, _ in recent] == [more for _, more in heard]
    assert [skipped for _, skipped, _ in recent] == [more for _, more in heard]
    assert [cpu and round(cpu) for _, _, cpu in recent] == [None, 25, 25, 25, 25, None, 25, 25]


@of_any_server
def test_leaves_the_server_alone_for_as_long_as_that_says(monitored: RunningServer, operator: Visitor) -> None:
    refused: list[str] = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=429, headers={"Retry-After": "3000"}, body="too often\n")

    page = operator.page
    page.clock.install()
    watch(operator, monitored)
    page.route("**/stats?*", refuse)
    page.wait_for_selector(WAITS)
    assert "3000 s" in page.inner_text("#status")
    assert "pid" in page.inner_text("#processes-body"), "what is known is still shown"
    page.clock.fast_forward(2_500_000)
    page.evaluate("() => fetch('healthz').then(answer => answer.text())")  # which would come behind another question
    assert len(refused) == 1
    page.unroute("**/stats?*")
    page.clock.fast_forward(600_000)
    page.wait_for_selector(WELL)


@of_any_server
def test_goes_on_after_the_server_has_gone_and_is_another(serve: Serve, operator: Visitor) -> None:
    page = operator.page
    with serve("--monitor") as server:
        watch(operator, server)
        port, old = server.address[1], server.stats()["process"]["pid"]
    page.wait_for_selector(GONE)
    page.get_by_text("The server does not answer: it can't be reached.").wait_for()
    assert f"pid {old}" in page.inner_text("#processes-body tr[data-state=gone]")
    with serve("--monitor", "--port", str(port)) as server:
        new = server.stats()["process"]["pid"]
        page.locator("#processes-body tr[data-state=answers]", has_text=f"pid {new}").wait_for()
        page.wait_for_selector(WELL)
        page.close()


def test_shows_of_each_process_how_it_is_with_its_relay(operator: Visitor, tmp_path: Path) -> None:
    page, relay = operator.page, Relay("unix", tmp_path)
    with ExitStack() as ends:
        ends.callback(relay.kill)
        relay.start()
        flags = ("--tick-budget", "0", "--monitor", "--relay", relay.url)
        owner = ends.enter_context(run_server("asyncio", *flags, logs=True))
        edge = ends.enter_context(run_server("gevent", *flags, logs=True))
        owner.enter("den", "ann")
        edge.enter("den", "bob")
        cells = page.locator("#relays-body tr").locator("th, td")
        watch(operator, owner)
        page.locator("#relays-body td:nth-child(5)", has_text=re.compile("^1$")).wait_for()
        assert cells.all_inner_texts()[:7] == ["1", "up", "1", "0", "1", "0", "0"]
        assert page.inner_text("#relay-url") == relay.url
        watch(operator, edge)
        page.locator("#relays-body td", has_text=re.compile(r"^[\d.]+ ms$")).first.wait_for()
        assert cells.all_inner_texts()[:4] == ["1", "up", "0", "1"]
        relay.kill()
        page.wait_for_selector(GONE)
        page.get_by_text("The server can't reach its relay.").wait_for()
        assert cells.all_inner_texts()[1] == "gone"
        page.goto("about:blank")
    assert operator.complaints == []


@of_any_server
def test_says_nothing_of_a_relay_where_there_is_none(monitored: RunningServer, operator: Visitor) -> None:
    watch(operator, monitored)
    assert not operator.page.locator("#relay").is_visible()
