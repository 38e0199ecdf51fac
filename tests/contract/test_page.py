"""The page in a real browser: joins, moves, sees ticks, comes back after a loss, and shows names as text."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.conftest import Serve
from tests.support.browser import NEEDS_CHROMIUM, Visitor, open_browser
from tests.support.certificates import make_certificate
from tests.support.proxies import PROXIES
from tests.support.server import RunningServer

WIDTHS = (1280, 390)

pytestmark = [
    NEEDS_CHROMIUM,
    pytest.mark.differs(),
    pytest.mark.xdist_group("browser"),  # one for all of them, and a slow server an arm
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(params=WIDTHS)
def visitor(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Visitor]:
    visitor = Visitor(browser, request.param)
    yield visitor
    visitor.page.close()


@pytest.fixture
def guest(browser: Browser) -> Iterator[Visitor]:
    """Who sees the page at one width alone, where it counts for nothing."""
    visitor = Visitor(browser, WIDTHS[0])
    yield visitor
    visitor.page.close()


@pytest.fixture(scope="module")
def slow_server(serve: Serve) -> Iterator[RunningServer]:
    """Slow enough for a snake to live until it is told to turn, on a busy machine too."""
    with serve("--tick-rate", "2", "--tick-budget", "0") as server:
        yield server


def test_joins_sees_ticks_and_turns(slow_server: RunningServer, visitor: Visitor, room: str) -> None:
    watcher = slow_server.enter(room)
    visitor.connect(slow_server, room, "Ada")
    visitor.wait_for_ticks(3)
    visitor.page.click("#join")
    visitor.page.wait_for_selector("body[data-alive=true][data-head]")
    watcher.until(lambda tick: tick.named("p_joined"))
    visitor.turn()
    assert "Ada" in visitor.page.inner_text("#players")
    assert visitor.complaints == []


def test_names_the_backend_and_the_arm(serve: Serve, backend: str, visitor: Visitor, room: str) -> None:
    with serve("--fanout", "naive", "--clock", "loop") as server:
        arm = server.stats()["arm"]
        assert {arm.partition(":")[0], *arm.partition(":")[2].split(",")} >= {backend, "fanout=naive", "clock=loop"}
        visitor.connect(server, room, "Ada")
        visitor.page.wait_for_function("arm => document.getElementById('arm').textContent === arm", arg=arm)
        assert visitor.page.title().startswith(f"{arm} · {room} on ")
        assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert visitor.complaints == []
        visitor.page.close()


def test_of_a_server_that_does_not_tell_nothing_is_named(slow_server: RunningServer, guest: Visitor, room: str) -> None:
    guest.page.route("**/stats", lambda route: route.fulfill(status=200, body='{"arm":7,"backend":null}'))
    guest.connect(slow_server, room, "Ada")
    guest.wait_for_ticks(1)
    assert not guest.page.locator("#arm").is_visible()
    assert guest.page.title().startswith(f"{room} on ")
    assert guest.complaints == []


def test_fits_the_screen(slow_server: RunningServer, visitor: Visitor, room: str) -> None:
    visitor.connect(slow_server, room, "Ada")
    width = visitor.page.viewport_size["width"] if visitor.page.viewport_size else 0
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
    assert visitor.page.locator("#field").is_visible()
    assert visitor.page.locator("#strip").is_visible()


@pytest.mark.parametrize("name", PROXIES)
def test_plays_behind_a_proxy_under_a_path(
    slow_server: RunningServer, guest: Visitor, room: str, name: str, tmp_path: Path
) -> None:
    with PROXIES[name](slow_server.address[1], make_certificate(tmp_path), path="/game") as proxy:
        guest.page.goto(proxy.url)
        assert guest.page.url == f"{proxy.url}/", "without the slash the page would look for its files one folder above"
        guest.connect(proxy, room, "Ada")
        guest.wait_for_ticks(2)
        assert guest.page.inner_text("#arm").startswith(slow_server.backend)
        for link in guest.page.locator(".foot a").all():
            assert guest.page.request.get(str(link.evaluate("link => link.href"))).status == 200
        assert guest.complaints == []
        guest.page.goto("about:blank")


def test_a_name_is_text(slow_server: RunningServer, guest: Visitor, room: str) -> None:
    guest.connect(slow_server, room, "<b>x</b>")
    guest.page.click("#join")
    guest.page.wait_for_selector("body[data-alive=true]")
    assert "<b>x</b>" in guest.page.inner_text("#players")
    assert guest.page.locator("#players b").count() == 0
    assert guest.complaints == []


def test_shows_an_error_of_the_server(serve: Serve, guest: Visitor, room: str) -> None:
    # Whoever has the only seat must not lose it before Ada asks for it: a snake lives for three ticks at least.
    with serve("--max-players", "1", "--tick-rate", "1") as server:
        guest.connect(server, room, "Ada")
        server.enter(room, "Bob").join()
        guest.page.click("#join")
        guest.page.get_by_text("Maximum players reached").wait_for()
        guest.page.close()


def test_plays_over_a_compressed_connection(deflating: RunningServer, browser: Browser, room: str) -> None:
    """Both ways: a browser that has agreed to it compresses what it says, too."""
    visitor = Visitor(browser, 1280)
    answers: list[str] = []
    network = visitor.page.context.new_cdp_session(visitor.page)
    network.on("Network.webSocketHandshakeResponseReceived", lambda said: answers.append(str(said["response"])))
    network.send("Network.enable")
    visitor.connect(deflating, room, "Ada")
    visitor.page.click("#join")
    visitor.page.wait_for_selector("body[data-alive=true]")
    visitor.page.wait_for_function("() => tickbench.clock() !== null")
    visitor.wait_for_ticks(20)
    assert ["permessage-deflate" in answer for answer in answers] == [True]
    assert visitor.complaints == []
    visitor.page.close()


def test_pauses_of_those_who_come_back_are_spread_from_nothing_to_a_ceiling(
    slow_server: RunningServer, guest: Visitor
) -> None:
    guest.page.goto(slow_server.url)
    pauses_ms = [
        guest.page.evaluate(
            """chance => {
                Math.random = () => chance;
                const link = new Link(null);
                link.failures = 0;
                return Array.from({length: 8}, () => link.nextDelay());
            }""",
            chance,
        )
        for chance in (0, 0.5, 1)
    ]
    ceilings_ms = [1000, 1500, 2250, 3375, 5062.5, 7593.75, 10_000, 10_000]
    assert pauses_ms == [[chance * ceiling for ceiling in ceilings_ms] for chance in (0, 0.5, 1)]


def test_comes_back_after_the_server_has_gone(serve: Serve, browser: Browser, room: str, tmp_path: Path) -> None:
    visitor = Visitor(browser, 1280)
    with serve("--scores", str(tmp_path / "scores")) as server:
        visitor.connect(server, room, "Ada")
        visitor.wait_for_ticks(2)
        port = server.address[1]
    visitor.page.wait_for_selector("body[data-state=waiting]")
    with serve("--port", str(port)):
        visitor.page.wait_for_selector("body[data-state=playing]")
        visitor.wait_for_ticks(2)
        visitor.page.close()
