"""HAProxy and nginx of Debian in front of the servers, with the settings that the documentation has."""

import json
import re
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.conftest import Serve, Share
from tests.support.certificates import Certificate, make_certificate
from tests.support.client import BINARY, PING, PONG, Response, request_bytes
from tests.support.player import Player
from tests.support.proxies import DOCUMENTED, PROXIES, Proxy, nginx
from tests.support.server import wait_until

pytestmark = pytest.mark.differs()

QUIET = ("--tick-rate", "50", "--tick-budget", "0")
PATH = "/game"

Start = Callable[..., AbstractContextManager[Proxy]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(params=PROXIES)
def start(request: pytest.FixtureRequest) -> Start:
    """``with start(port, ...) as proxy``: one that runs in front of a server."""
    proxy: Start = PROXIES[request.param]
    return proxy


def get(proxy: Proxy, target: str, connection: Player | None = None) -> Response:
    """Ask a proxy for a page, over a connection of its own if there is none."""
    if connection is None:
        with proxy.dial() as own:
            return get(proxy, target, own)
    connection.send_raw(request_bytes("GET", proxy.path + target, {"Host": proxy.authority}))
    return connection.read_response()


def knock(proxy: Proxy, room: str, source: str = "127.0.0.1", **headers: str) -> tuple[Player, Response]:
    """Ask a proxy for an upgrade, as a page of its own would."""
    player = proxy.dial(source)
    own = {"Host": proxy.authority, "Origin": proxy.origin, **headers}
    return player, player.upgrade(f"{proxy.path}/connect?room={room}", own)


def enter(proxy: Proxy, room: str, source: str = "127.0.0.1") -> Player:
    player, answer = knock(proxy, room, source)
    assert answer.status == 101
    player.enter()
    return player


@pytest.mark.parametrize(("path", "is_secure"), [("", False), (PATH, True)], ids=["plain", "under a path, by TLS"])
def test_who_comes_through_has_pages_and_plays(
    share: Share, start: Start, room: str, certificate: Certificate, path: str, *, is_secure: bool
) -> None:
    server = share(*QUIET)
    with start(server.address[1], certificate if is_secure else None, path=path) as proxy:
        with proxy.dial() as reader:
            for target in ("/", "/client.js", "/stats"):
                answer = get(proxy, target, reader)
                assert answer.status == 200
                if target != "/stats":
                    assert answer.body == server.request(target).body
            assert json.loads(answer.body)["backend"] == server.backend
        with enter(proxy, room) as player:
            assert player.join().named("p_joined")
            assert player.ping() or player.ping()
        assert knock(proxy, room, Origin="http://evil.example")[1].status == 403


def test_the_documented_server_is_let_be_called_by_its_name(
    serve: Serve, start: Start, certificate: Certificate
) -> None:
    (flags,) = re.findall(r"^The server beside them is `(.*?)`", DOCUMENTED.read_text(), re.MULTILINE)
    name = flags.rpartition("://")[2]
    outside = {"Host": name, "Origin": f"https://{name}"}
    with serve(*QUIET, *flags.split()) as server, start(server.address[1], certificate) as proxy:
        assert knock(proxy, "main", **outside)[1].status == 101
        assert knock(proxy, "main", **{**outside, "Origin": "https://evil.example"})[1].status == 403
        assert knock(proxy, "main", **{**outside, "Host": "evil.example"})[1].status == 403


def test_without_the_last_slash_the_way_to_the_page_is_shown(share: Share, start: Start) -> None:
    with start(share(*QUIET).address[1], path=PATH) as proxy:
        answer = get(proxy, "")
        assert answer.status == 301
        assert answer.headers["location"].endswith("/game/")
        assert get(proxy, "/nowhere").status == 404


def test_through_one_proxy_each_address_counts_for_itself(serve: Serve, start: Start) -> None:
    limits = (*QUIET, "--max-per-address", "2", "--trusted-proxy", "127.0.0.1")
    with serve(*limits) as server, start(server.address[1]) as proxy:
        players = [enter(proxy, "main", f"127.0.1.{number}") for number in range(30) for _ in range(2)]
        for player in players:
            player.next_tick()
        for lie in ("192.0.2.7", "192.0.2.8, 127.0.0.1", "rubbish"):
            _, answer = knock(proxy, "main", "127.0.1.7", **{"X-Forwarded-For": lie})
            assert answer.status == 503, "an address is not what its client says of it"
        assert answer.headers["retry-after"]
        players[14].hang_up()
        wait_until(lambda: knock(proxy, "main", "127.0.1.7")[1].status == 101)
        for player in players:
            player.hang_up()


def test_without_trust_all_are_the_proxy(serve: Serve, start: Start) -> None:
    with serve(*QUIET, "--max-per-address", "2") as server, start(server.address[1]) as proxy:
        statuses = [knock(proxy, "main", f"127.0.1.{number}")[1].status for number in range(3)]
        assert statuses == [101, 101, 503]


def test_close_codes_come_through(serve: Serve, start: Start, room: str) -> None:
    with serve(*QUIET) as server, start(server.address[1]) as proxy:
        player = enter(proxy, room)
        player.send_frame(BINARY, b"x")
        assert player.expect_close() == 1003
        flooder = enter(proxy, room)
        for _ in range(100):
            flooder.send(37)
        assert flooder.expect_close() == 1008
        stays = enter(proxy, room)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert stays.expect_close() == 1001
        stopping.join()


@pytest.mark.policy
def test_who_does_not_read_is_seen_through_a_proxy_once_that_is_full(serve: Serve, start: Start, room: str) -> None:
    flags = ("--tick-rate", "100", "--tick-budget", "0", "--pad", "60000", "--slow-limit", "0.5")
    with serve(*flags) as server, start(server.address[1]) as proxy:
        player = enter(proxy, room)
        wait_until(lambda: server.stats()["slow_closed"] == 1, 30)
        assert player.expect_close() == 1013, "behind whole frames"


def test_an_upgrade_over_http_1_0_is_none_and_says_why(share: Share) -> None:
    """As nginx asks for it if it is not told ``proxy_http_version 1.1``."""
    server = share(*QUIET)
    with nginx(server.address[1], without="proxy_http_version 1.1;") as proxy:
        player, answer = knock(proxy, "main")
        assert answer.status == 426
        assert b"over HTTP/1.1" in answer.body
        assert get(proxy, "/healthz").status == 200, "pages are another matter"
        player.hang_up()


def test_while_the_server_is_away_the_proxy_says_so_and_then_all_is_well(serve: Serve, start: Start) -> None:
    with serve(*QUIET) as server:
        port = server.address[1]
        with start(port) as proxy, proxy.dial() as reader:
            assert get(proxy, "/healthz", reader).status == 200
            enter(proxy, "main")
            server.stop()
            assert get(proxy, "/healthz").status in {502, 503}
            assert knock(proxy, "main")[1].status in {502, 503}
            with serve(*QUIET, "--port", str(port)):
                assert get(proxy, "/healthz").status == 200
                with enter(proxy, "main") as player:
                    player.next_tick()


def test_a_connection_that_the_server_ends_is_no_fault_for_anybody(serve: Serve, start: Start) -> None:
    """It ends those on which nothing was asked for a while, and the proxy may be about to ask just then."""
    with serve(*QUIET, "--keep-alive", "0.2") as server, start(server.address[1]) as proxy:
        answers: list[int] = []

        def ask(pause_s: float) -> None:
            with proxy.dial() as reader:
                for _ in range(10):
                    answers.append(get(proxy, "/healthz", reader).status)
                    time.sleep(pause_s)

        readers = [threading.Thread(target=ask, args=(0.19 + number / 500,)) for number in range(12)]
        for thread in readers:
            thread.start()
        for thread in readers:
            thread.join(30)
        assert answers == [200] * 120


def test_many_who_load_the_page_at_once_are_not_one_who_asks_too_often(serve: Serve, start: Start) -> None:
    with serve(*QUIET, "--trusted-proxy", "127.0.0.1") as server, start(server.address[1]) as proxy:
        for _ in range(3):
            with proxy.dial() as reader:
                assert {get(proxy, "/", reader).status for _ in range(70)} == {200}


def test_the_heartbeat_keeps_a_quiet_connection(serve: Serve, start: Start) -> None:
    flags, idle_s = ("--echo", "--tick-budget", "0", "--max-missed-pings", "1000"), 2.0
    with (
        serve(*flags, "--ping-interval", "0.3") as lively,
        serve(*flags, "--ping-interval", "60") as mute,
        start(lively.address[1], idle_s=idle_s) as patient,
        start(mute.address[1], idle_s=idle_s) as same,
    ):
        kept, cut = patient.dial(), same.dial()
        for player, proxy in ((cut, same), (kept, patient)):
            assert player.upgrade("/echo", {"Host": proxy.authority}).status == 101
        until = time.monotonic() + 2 * idle_s
        while time.monotonic() < until:
            frame = kept.receive_frame()
            assert frame.opcode == PING
            kept.send_frame(PONG, frame.payload)
        assert cut.read_to_eof() == b"", "or this would prove nothing of the other"
        kept.send_text("still here")
        assert kept.receive_text() == "still here"
