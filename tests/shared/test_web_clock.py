"""How the page knows the server's clock: in a real browser, whose clocks and whose server's clock step and sleep."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support.browser import NEEDS_CHROMIUM, Visitor, open_browser
from tests.support.server import RunningServer, run_server

FAULTS = Path(__file__).parents[1] / "support" / "page_faults.js"
HOUR_MS, MINUTE_MS = 3_600_000, 60_000
TOLD_APART_MS = 20
"""Below each step that is made here. An estimate is off by half its round trip at most: two of less differ by less."""

UNKNOWN = "\u2013"
"""What the page shows for a figure that it doesn't know."""

pytestmark = [NEEDS_CHROMIUM, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with run_server("asyncio", "--tick-budget", "0") as server:
        yield server


class Watcher(Visitor):
    """A visitor whose clocks, and whose server's clock, can be set."""

    def __init__(self, browser: Browser) -> None:
        super().__init__(browser, 1280)
        self.page.add_init_script(path=FAULTS)

    def set(self, **faults: Any) -> None:
        self.page.evaluate("(now) => Object.assign(faults, now)", faults)

    def offset_ms(self) -> float:
        """Wait for an estimate that is good for TOLD_APART_MS; return how far the server's clock is ahead by it."""
        # In one step: a page that was held up may forget its estimate again. The first pings meet a page that is busy.
        condition = "(most) => tickbench.clock()?.roundTripMs < most && [tickbench.clock().offsetMs]"
        found = self.page.wait_for_function(condition, arg=TOLD_APART_MS).json_value()
        return float(found[0])

    def wait_for_offset(self, expected_ms: float) -> None:
        """Wait for one that is as good as the first, and as far ahead as is expected."""
        condition = """([expected, near]) => {
            const clock = tickbench.clock();
            return clock?.roundTripMs < near && Math.abs(clock.offsetMs - expected) < near;
        }"""
        self.page.wait_for_function(condition, arg=[expected_ms, TOLD_APART_MS])

    def wait_for_lateness(self) -> None:
        """Wait until the page shows one, of the ticks from now on."""
        self.page.evaluate("document.querySelector('#lateness-row td').textContent = ''")
        self.page.wait_for_function("() => /[0-9]/.test(document.querySelector('#lateness-row td').textContent)")

    def shown(self) -> list[list[str]]:
        """Return all that it showed as tick lateness and as the clock's uncertainty."""
        shown: list[list[str]] = self.page.evaluate("faults.shown")
        return shown

    def latenesses_ms(self) -> list[float]:
        return [float(cell) for *cells, _ in self.shown() for cell in cells if cell not in (UNKNOWN, "")]


@pytest.fixture
def watcher(browser: Browser) -> Iterator[Watcher]:
    watcher = Watcher(browser)
    yield watcher
    assert watcher.complaints == []
    watcher.page.close()


@pytest.mark.parametrize("slept", [False, True], ids=["the server's", "ours, in a sleep"])
@pytest.mark.parametrize("step_ms", [HOUR_MS, -HOUR_MS, 2000, -2000])
def test_a_step_of_a_clock_is_followed_at_once(
    server: RunningServer, watcher: Watcher, room: str, step_ms: int, *, slept: bool
) -> None:
    """No lateness is ever shown that has the step in it, nor half of it."""
    watcher.connect(server, room, "Ada")
    before_ms = watcher.offset_ms()
    watcher.wait_for_lateness()
    watcher.set(serverMs=step_ms, wallMs=step_ms if slept else 0)
    watcher.wait_for_offset(before_ms + step_ms)
    watcher.wait_for_lateness()
    assert max(map(abs, watcher.latenesses_ms())) < abs(step_ms) / 2


@pytest.mark.parametrize("step_ms", [200, -200, -40])
def test_a_small_step_is_followed_by_the_next_ping(
    server: RunningServer, watcher: Watcher, room: str, step_ms: int
) -> None:
    watcher.connect(server, room, "Ada")
    before_ms = watcher.offset_ms()
    watcher.set(serverMs=step_ms)
    watcher.wait_for_offset(before_ms + step_ms)


def test_a_sleep_is_noticed_by_the_clock_of_the_wall_alone(server: RunningServer, watcher: Watcher, room: str) -> None:
    """Whatever was known is asked anew, even if it turns out to be right."""
    watcher.connect(server, room, "Ada")
    watcher.offset_ms()
    watcher.wait_for_lateness()
    watcher.set(shown=[], wallMs=HOUR_MS)
    watcher.page.wait_for_function("() => tickbench.ticks().some((tick) => tick.latenessMs === null)")
    watcher.offset_ms()


def test_another_server_is_another_clock(browser: Browser, room: str) -> None:
    watcher = Watcher(browser)
    with run_server("asyncio") as server:
        watcher.connect(server, room, "Ada")
        before_ms = watcher.offset_ms()
        watcher.wait_for_lateness()
        port = server.address[1]
    watcher.page.wait_for_selector("body[data-state=waiting]")
    assert watcher.page.evaluate("tickbench.clock()") is None
    watcher.page.wait_for_function("(text) => uncertainty.textContent === text", arg=UNKNOWN)
    watcher.set(serverMs=-HOUR_MS)
    with run_server("asyncio", "--port", str(port)):
        watcher.page.wait_for_selector("body[data-state=playing]")
        watcher.wait_for_offset(before_ms - HOUR_MS)
        watcher.wait_for_lateness()
        assert max(map(abs, watcher.latenesses_ms())) < HOUR_MS / 2
        watcher.page.close()


def test_a_server_that_sends_ticks_before_they_are_due_is_measured_like_any_other(
    server: RunningServer, watcher: Watcher, room: str
) -> None:
    watcher.page.add_init_script("faults.earlyMs = 500")
    watcher.connect(server, room, "Ada")
    watcher.offset_ms()
    watcher.wait_for_lateness()
    watcher.wait_for_lateness()
    assert watcher.page.evaluate("tickbench.ticks().at(-1).latenessMs") < -400


# The estimate itself


def test_pings_that_contradict_the_latest_are_dropped(server: RunningServer, watcher: Watcher) -> None:
    """Of each: when it was sent, its round trip, the offset in its middle."""
    watcher.page.goto(server.url)
    stepped, offset = estimate(watcher, [[0, 1, 50], [1000, 2, 50], [2000, 8, 58]])
    assert (stepped, offset) == ([False, False, False], 58), "neither of the first two can be right any more"
    stepped, offset = estimate(watcher, [[0, 1, 50], [1000, 2, 50], [2000, 8, 54]])
    assert (stepped, offset) == ([False, False, False], 50), "all three may be right"
    stepped, offset = estimate(watcher, [[0, 1, 50], [1000, 2, 4050], [2000, 1, 4050.2]])
    assert stepped == [False, True, False]
    assert offset == pytest.approx(4050.2)
    stepped, offset = estimate(watcher, [[0, 1, 50], [30_000, 4, 50], [60_500, 6, 51]])
    assert (stepped, offset) == ([False, False, False], 50), "the second: the first is of more than a minute ago"


def test_what_answers_a_ping_of_before_is_of_no_use(server: RunningServer, watcher: Watcher) -> None:
    watcher.page.goto(server.url)
    made = watcher.page.evaluate(
        """() => {
            const clock = new ClockEstimate();
            clock.add(0, 1, 50.5);
            clock.forget(100);
            const answers = [clock.add(99.9, 101, 50), clock.best];
            clock.add(100, 102, 4101);
            return [...answers, clock.best.offset];
        }"""
    )
    assert made == [False, None, 4000]


def estimate(watcher: Watcher, pings: list[list[float]]) -> tuple[list[bool], float]:
    """Return for each ping whether a clock has stepped, and the offset in the end."""
    made: list[Any] = watcher.page.evaluate(
        """(pings) => {
            const clock = new ClockEstimate();
            const stepped = pings.map(([sent, trip, offset]) => clock.add(sent, sent + trip, sent + trip / 2 + offset));
            return [stepped, clock.best.offset];
        }""",
        pings,
    )
    return made[0], made[1]
