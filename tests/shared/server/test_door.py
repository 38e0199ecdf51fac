"""What the door answers itself, and what it lets a library see."""

from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.server.config import parse_arguments
from shared.server.core import ServerCore
from shared.server.door import MAX_REQUESTS, MONITOR, PAGES, Door, TurnedAway
from shared.wire.request import READ_BYTES
from tests.shared.rooms.visitor import Visitor
from tests.support.client import parse_head
from tests.support.requests import MALFORMED, SPECIAL, UPGRADE, plain

NOW_US = 1_800_000_000_000_000


@pytest.fixture(scope="module")
def core() -> Iterator[ServerCore[Visitor]]:
    core = open_core()
    yield core
    core.scores.close()


def open_core(*arguments: str) -> ServerCore[Visitor]:
    return ServerCore(parse_arguments("asyncio", list(arguments)), NOW_US, 5)


@pytest.fixture
def door(core: ServerCore[Visitor]) -> Door:
    return Door(core)


def turned_away(door: Door, data: bytes, now_us: int = NOW_US) -> bytes:
    """Return what a peer is told that sends this."""
    while len(data) >= READ_BYTES:
        door.feed(data[: READ_BYTES - 1])
        data = data[READ_BYTES - 1 :]
        assert door.next_head(now_us) is None
    door.feed(data)
    with pytest.raises(TurnedAway) as caught:
        door.next_head(now_us)
    assert door.next_head(now_us) is None
    return caught.value.answer


def passed(door: Door, data: bytes, now_us: int = NOW_US) -> bytes:
    """Return the head that the library gets of this, and answer it."""
    door.feed(data)
    head = door.next_head(now_us)
    assert head
    assert door.next_head(now_us) is None, "one at a time"
    door.answered()
    return head


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_told_so_in_full(door: Door, name: str) -> None:
    answer = turned_away(door, MALFORMED[name])
    head, _, body = answer.partition(b"\r\n\r\n")
    status, headers, _ = parse_head(head)
    assert status == 400
    assert headers == {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(body)),
        "connection": "close",
        "date": "Fri, 15 Jan 2027 08:00:00 GMT",
    }
    assert body.endswith(b"\n")


@pytest.mark.parametrize("name", SPECIAL)
def test_what_is_special_gets_its_answer_or_goes_to_the_library(door: Door, name: str) -> None:
    request, status, closes = SPECIAL[name]
    if status in (200, 426) or not closes:
        head = passed(door, request)
        assert (b"\r\nConnection: close\r\n" in head) is closes
        door.feed(plain())
        assert (door.next_head(NOW_US) is None) is closes, "nothing behind the last one is read"
    else:
        assert parse_head(turned_away(door, request)).status == status


@pytest.mark.parametrize("path", ["/connect", *sorted(PAGES)])
def test_each_path_takes_get_and_head_and_nothing_else(door: Door, path: str) -> None:
    for method in (b"GET", b"HEAD"):
        head = passed(door, plain(target=path.encode()).replace(b"GET", method))
        assert head.startswith(f"{method.decode()} {path} HTTP/1.1\r\n".encode())
        door.answered()
    answer = parse_head(turned_away(door, plain(target=path.encode()).replace(b"GET", b"PUT")))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_echo_is_a_path_where_it_is_asked_for(door: Door) -> None:
    assert parse_head(turned_away(door, plain(*UPGRADE, target=b"/echo"))).status == 404
    core = open_core("--echo")
    door = Door(core)
    passed(door, plain(target=b"/echo"))
    assert parse_head(turned_away(door, plain(target=b"/echo").replace(b"GET", b"PUT"))).status == 405
    core.scores.close()


def test_the_page_for_operators_is_there_where_it_is_asked_for(core: ServerCore[Visitor]) -> None:
    for path in MONITOR:
        answer = turned_away(Door(core), plain(target=path.encode()))
        assert answer == turned_away(Door(core), plain(target=b"/nowhere"))
    other = open_core("--monitor")
    for path in MONITOR:
        door = Door(other)
        passed(door, plain(target=path.encode()))
        assert parse_head(turned_away(door, plain(target=path.encode()).replace(b"GET", b"PUT"))).status == 405
    other.scores.close()


@pytest.mark.parametrize("path", [b"/nowhere", b"//stats", b"/stats/", b"/Stats", b"/connect/", b"/%2fstats", b"//"])
def test_any_other_path_is_none(door: Door, path: bytes) -> None:
    assert parse_head(turned_away(door, plain(target=path))).status == 404


def test_the_answer_to_a_head_has_no_body(door: Door) -> None:
    answer = turned_away(door, plain(target=b"/nowhere").replace(b"GET", b"HEAD"))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Length: 10\r\n" in answer


def test_a_trusted_proxy_may_ask_for_many_others_and_says_for_whom() -> None:
    core = open_core("--trusted-proxy", "10.0.0.0/8")
    core.scores.close()
    for peer, statuses in (("10.1.2.3", {200}), ("192.0.2.1", {200, 429})):
        door, found = Door(core, peer), set()
        for number in range(2 * MAX_REQUESTS):
            door.feed(plain(f"X-Forwarded-For: 192.0.2.{number}".encode()))
            try:
                assert door.next_head(NOW_US)
            except TurnedAway as turned:
                found.add(parse_head(turned.answer).status)
                break
            found.add(200)
            assert door.address == (f"192.0.2.{number}" if peer.startswith("10.") else peer)
            door.answered()
        assert found == statuses


def test_what_one_request_says_of_its_client_does_not_hold_for_the_next() -> None:
    core = open_core("--trusted-proxy", "10.0.0.0/8")
    core.scores.close()
    door = Door(core, "10.1.2.3")
    passed(door, plain(b"X-Forwarded-For: 192.0.2.1"))
    assert door.address == "192.0.2.1"
    door.answered()
    passed(door, plain())
    assert door.address == "10.1.2.3"


def test_a_head_upgrades_nothing(door: Door) -> None:
    assert b"Upgrade" not in passed(door, plain(*UPGRADE, target=b"/connect").replace(b"GET", b"HEAD"))


# By which names

HOME = ["localhost", "LOCALHOST:80", "a.localhost", "localhost.", "127.0.0.1:8000", "127.9.9.9"]
HOME += ["[::1]:8000", "[0::1]", "[::ffff:127.0.0.1]", "[::1%251]"]
REBOUND = ["evil.example", "evil.example:8000", "localhost.evil.example", "notlocalhost", "192.0.2.1", "[2001:db8::1]"]


def listening_at(address: str, *arguments: str) -> Door:
    core = open_core(*arguments)
    core.listens_at(address)
    core.scores.close()
    return Door(core)


def status_of(door: Door, host: str, target: str = "/stats") -> int:
    door.feed(plain(target=target.encode(), host=f"Host: {host}\r\n".encode()))
    try:
        assert door.next_head(NOW_US)
    except TurnedAway as turned:
        return parse_head(turned.answer).status
    return 200


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1"])
def test_on_loopback_it_goes_by_the_names_of_loopback_alone(address: str) -> None:
    """A page that had its own name lead here would read what it likes (DNS rebinding)."""
    for host in HOME:
        assert status_of(listening_at(address), host) == 200
    for host in REBOUND:
        for target in ("/", "/stats", "/connect", "/nowhere", "http://localhost/stats"):
            expected = 200 if target.startswith("http:") else 403
            assert status_of(listening_at(address), host, target) == expected
    assert status_of(listening_at(address), "localhost", "http://evil.example/stats") == 403


def test_it_goes_by_the_names_of_origins_that_are_allowed_too() -> None:
    origins = ("--origin", "https://Game.example", "--origin", "http://[2001:db8::1]:81", "--origin", "null")
    for host in (*HOME, "game.example", "GAME.example:443", "[2001:db8::1]"):
        assert status_of(listening_at("127.0.0.1", *origins), host) == 200
    for host in ("www.game.example", "evil.example", "null"):
        assert status_of(listening_at("127.0.0.1", *origins), host) == 403
    for host in ("www.game.example", "a.b.GAME.example.:443"):
        assert status_of(listening_at("127.0.0.1", "--origin", "*.game.example"), host) == 200
    for host in ("game.example", "evilgame.example", "www.game.example.evil", "*.game.example"):
        assert status_of(listening_at("127.0.0.1", "--origin", "*.game.example"), host) in {400, 403}
    assert status_of(listening_at("127.0.0.1", "--origin", "*"), "evil.example") == 200


def test_it_goes_by_the_name_that_it_was_told_to_listen_at() -> None:
    for host in ("desk:8000", "DESK", "desk."):
        for told in ("desk", "desk."):
            assert status_of(listening_at("127.0.1.1", "--host", told), host) == 200
    assert status_of(listening_at("127.0.1.1", "--host", "desk"), "evil.example") == 403


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1"])  # noqa: S104 # it is the case
def test_elsewhere_it_goes_by_any_name(address: str) -> None:
    for host in (*HOME, *REBOUND):
        assert status_of(listening_at(address), host) == 200


def test_who_names_no_host_is_no_browser() -> None:
    passed(listening_at("127.0.0.1"), b"GET /stats HTTP/1.0\r\n\r\n")


# One after the other


def test_requests_in_a_row_are_given_out_one_by_one(door: Door) -> None:
    door.feed(plain() + plain(target=b"/stats") + plain(b"Connection: close", target=b"/scores") + plain())
    heads = []
    while head := door.next_head(NOW_US):
        assert door.next_head(NOW_US) is None
        heads.append(head.split()[1])
        door.answered()
    assert heads == [b"/healthz", b"/stats", b"/scores"]
    door.feed(plain())
    assert door.next_head(NOW_US) is None


def test_what_is_behind_an_upgrade_is_no_http(door: Door) -> None:
    door.feed(plain(*UPGRADE, target=b"/connect?room=x") + b"\x81\x80abcd")
    head = door.next_head(NOW_US)
    assert head
    assert b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" in head
    door.feed(plain())
    assert door.next_head(NOW_US) is None
    assert door.rest() == b"\x81\x80abcd" + plain()
    assert (door.rest(), door.next_head(NOW_US)) == (b"", None)


def test_behind_an_upgrade_that_is_refused_http_goes_on(door: Door) -> None:
    door.feed(plain(*UPGRADE, target=b"/connect?room=.") + plain())
    assert door.next_head(NOW_US)
    door.answered()
    assert door.next_head(NOW_US) == plain()


def test_behind_one_that_wanted_to_close_it_does_not(door: Door) -> None:
    door.feed(plain(*UPGRADE, b"Connection: close", target=b"/connect") + plain())
    assert door.next_head(NOW_US)
    door.answered()
    assert door.next_head(NOW_US) is None


def test_a_page_is_never_upgraded(door: Door) -> None:
    assert b"pgrade" not in passed(door, plain(*UPGRADE))


# How many


def test_a_connection_has_so_many_requests_a_second(door: Door) -> None:
    for _ in range(MAX_REQUESTS):
        passed(door, plain())
    second = Door(door._core)
    passed(second, plain())
    later_us = NOW_US + 1_000_000
    for _ in range(MAX_REQUESTS):
        passed(door, plain(), later_us)
    answer = parse_head(turned_away(door, plain(), later_us))
    assert answer.status == 429
    assert answer.headers["retry-after"] == "1"


def test_who_keeps_to_that_is_never_refused(door: Door) -> None:
    for number in range(1000):
        passed(door, plain(), NOW_US + number * 1_000_000 // MAX_REQUESTS)


# What pages cost

PAGE_US = 500


def ask_for_pages(core: ServerCore[Visitor], a_second: int, seconds: int) -> tuple[int, list[int]]:
    """Ask for /stats for so long, each time on a new connection; return what it cost, and what was answered."""
    cost_us, answers = 0, []
    for number in range(a_second * seconds):
        door = Door(core)
        door.feed(plain(target=b"/stats"))
        try:
            assert door.next_head(NOW_US + number * 1_000_000 // a_second)
        except TurnedAway as turned:
            answers.append(parse_head(turned.answer).status)
        else:
            answers.append(200)
            core.reporter.budget.take(PAGE_US)
            cost_us += PAGE_US
    return cost_us, answers


def test_who_polls_80_times_a_second_is_never_refused() -> None:
    core = open_core()
    _, answers = ask_for_pages(core, 80, 30)
    core.scores.close()
    assert set(answers) == {200}


def test_a_flood_costs_the_ticks_a_tenth_and_what_was_saved_up() -> None:
    core = open_core()
    cost_us, answers = ask_for_pages(core, 1000, 10)
    core.scores.close()
    assert set(answers) == {200, 429}
    assert cost_us <= 0.1 * 10_000_000 + 200_000 + PAGE_US


def test_beyond_the_budget_the_other_paths_are_served_on() -> None:
    core = open_core()
    core.reporter.budget.take(200_000 + 250_000)
    for path in (b"/stats", b"/metrics", b"/scores"):
        answer = parse_head(turned_away(Door(core), plain(target=path)))
        assert (answer.status, answer.headers["retry-after"]) == (429, "3")
    for path in (b"/", b"/client.js", b"/healthz", b"/connect"):
        passed(Door(core), plain(target=path))
    assert parse_head(turned_away(Door(core), plain(target=b"/stats").replace(b"GET", b"PUT"))).status == 405
    passed(Door(core), plain(target=b"/stats"), NOW_US + 2_500_001)
    core.scores.close()


# Whatever comes


@given(st.lists(st.binary(max_size=50) | st.sampled_from([plain(), plain()[:30], *MALFORMED.values()]), max_size=20))
def test_it_raises_nothing_but_its_answer_and_keeps_little(core: ServerCore[Visitor], pieces: list[bytes]) -> None:
    door = Door(core)
    for piece in pieces:
        if door.has_room:
            door.feed(piece)
        try:
            while door.next_head(NOW_US):
                door.answered()
        except TurnedAway:
            door.feed(bytes(READ_BYTES))
            assert door.rest() == b"", "nothing is kept of it any more"
            assert door.next_head(NOW_US) is None


def test_a_date_is_one(door: Door) -> None:
    answer = parse_head(turned_away(door, b"\x00"))
    assert parsedate_to_datetime(answer.headers["date"]).timestamp() == NOW_US / 1_000_000
