"""Somebody at a browser who opens the page: Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.support.proxies import Proxy
from tests.support.server import RunningServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 20_000

NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt-get install chromium")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Run Chromium for the length of a ``with`` block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Visitor:
    """Somebody at a browser, and what the browser complained about."""

    def __init__(self, browser: Browser, width: int) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": 844}, ignore_https_errors=True)
        self.page.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def connect(self, server: RunningServer | Proxy, room: str, name: str) -> None:
        self.page.goto(f"{server.url}/?room={room}")
        self.page.fill("#name", name)
        self.page.click("#connect")
        self.page.wait_for_selector("body[data-state=playing]")

    def ticks(self) -> int:
        return int(self.page.inner_text("#ticks"))

    def wait_for_ticks(self, more: int) -> None:
        enough = self.ticks() + more
        for _ in range(200):
            if self.ticks() >= enough:
                return
            self.page.wait_for_timeout(50)
        pytest.fail(f"no {more} ticks came")

    def head(self) -> tuple[int, int]:
        x, _, y = (self.page.get_attribute("body", "data-head") or "").partition(",")
        return int(x), int(y)

    def turn(self) -> None:
        """Turn towards the middle of the field, by an arrow key or by a letter, and see the snake go there."""
        before = self.head()
        self.wait_for_ticks(1)
        x, y = self.head()
        if x != before[0]:
            self.page.keyboard.press("ArrowUp" if y > 12 else "ArrowDown")
        else:
            self.page.keyboard.press("a" if x > 25 else "d")
        self.wait_for_ticks(3)
        if x != before[0]:
            assert self.head()[1] != y
        else:
            assert self.head()[0] != x

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)
