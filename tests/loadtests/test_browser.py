"""
Browsers check the generator: one page in Chromium among many users, and both say when each tick came.

They share nothing: two programs, two languages, two WebSockets, and two ways to the time, the kernel's stamps there,
the page's own clock and its pings here. ``make figures-browser`` has 300 users for 20 s, and prints the differences.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from shared.measure.summary import read_summary
from tests.loadtests.conftest import FULL_SIZE, PATIENCE_S, load_command, start
from tests.support.browser import NEEDS_CHROMIUM, Visitor, open_browser
from tests.support.server import run_server
from tests.support.tick_watch import Agreement, Seen, compare, read_told

TOLD = Path(__file__).parents[1] / "support" / "told_locustfile.py"
USERS, SECONDS = (300, 20) if FULL_SIZE else (60, 6)
EVERY_SERVER = (("asyncio", "off"), ("asyncio", "once"), ("gevent", "off"), ("gevent", "once"))
ATTEMPTS = 3
SERVED = EVERY_SERVER if FULL_SIZE else (("asyncio", "off"), ("gevent", "once"))
"""Servers, and whom they compress frames for."""
RAMP_S = 3
LOOKS_EVERY_MS = 2000
"""The page keeps the ticks of 20 s."""

pytestmark = [NEEDS_CHROMIUM, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


class Watcher(Visitor):
    """A page that notes each tick and, by its own clock, when it came."""

    def __init__(self, browser: Browser) -> None:
        super().__init__(browser, 1280)
        self._ticks: dict[int, dict[str, float]] = {}

    def look(self) -> None:
        """Note the ticks that the page has now."""
        self._ticks |= {tick["n"]: tick for tick in self.page.evaluate("() => tickbench.ticks()")}

    def saw(self) -> Seen:
        """Return each tick's lateness by the best estimate of the clock that the page has."""
        clock = self.page.evaluate("() => tickbench.clock()")
        latenesses = {n: tick["arrivedMs"] + clock["offsetMs"] - tick["dueMs"] for n, tick in self._ticks.items()}
        return Seen(latenesses, clock["halfWidthMs"], clock["usualRoundTripMs"] - clock["roundTripMs"])


@pytest.mark.parametrize(("backend", "deflate"), SERVED)
def test_a_page_and_the_generator_agree_on_when_ticks_came(
    browser: Browser, backend: str, deflate: str, tmp_path: Path
) -> None:
    for attempt in range(ATTEMPTS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        agreement = agree(browser, backend, deflate, folder)
        assert agreement.holds, agreement
        if agreement.tells:
            break
    assert agreement.tells or not FULL_SIZE, f"the page was starved {ATTEMPTS} times: {agreement}"


def agree(browser: Browser, backend: str, deflate: str, folder: Path) -> Agreement:
    """Have a page watch the ticks of a server beside a load; return how it agrees with what the generator says."""
    with run_server(backend, "--deflate", deflate, "--bots", "10", "--tick-budget", "0") as server:
        if FULL_SIZE:
            os.sched_setaffinity(server.process.pid, {min(os.sched_getaffinity(0))})
        watcher = Watcher(browser)
        watcher.connect(server, "main", "Ada")  # before all others: see Told.around
        watcher.wait_for_ticks(5)
        watch_beside_load(watcher, server.url, folder)
        seen = watcher.saw()
        assert watcher.complaints == []
        watcher.page.close()
    told, summary = read_told(folder / "told.npz"), read_summary((folder / "out.json").read_bytes())
    assert summary.frames.received == len(told.rows), "what is compared is what the figures are made of"
    agreement = compare(seen, told.around())
    everybody = compare(seen, {n: (late, late) for n, late in told.of_all().items()})
    print(f"\n{backend}, deflate {deflate}, beside its neighbours among {USERS} users, {agreement}")  # noqa: T201 # the figures are asked for
    print(f"{backend}, deflate {deflate}, beside the median user, {everybody}")  # noqa: T201 # as above
    return agreement


def watch_beside_load(watcher: Watcher, url: str, folder: Path) -> None:
    """Look at the page while a load runs beside it, to its end."""
    command = load_command("--host", url, "--users", USERS, "--spawn-rate", USERS / RAMP_S, "--workers", 1)
    command += map(str, ("--warm-up", 1, "--duration", SECONDS, "--out", folder / "out.json"))
    command[command.index("-f") + 1] = str(TOLD)
    streams: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with start(command, streams=streams, TOLD=str(folder / "told.npz")) as process:
        try:
            for _ in range(PATIENCE_S * 1000 // LOOKS_EVERY_MS):
                if process.poll() is not None:
                    break
                watcher.page.wait_for_timeout(LOOKS_EVERY_MS)
                watcher.look()
            _, stderr = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode in {0, 3}, stderr
