import json
from collections.abc import Iterator

import pytest

from shared.server.gate import Page, Seat
from shared.server.standalone import Player, StandaloneServer, Table
from shared.system.clock import DueClock
from shared.wire.frames import CloseCode

T0_US = 1_700_000_000_000_000
PERIOD_US = 50_000
UPGRADE = [
    ("Host", "127.0.0.1:8000"),
    ("Upgrade", "WebSocket"),
    ("Connection", "keep-alive, Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
]
HELLO = '["new_player","Ada"]'


class SetClock(DueClock[None]):
    """One that a test sets."""

    at_us = T0_US

    def now_us(self) -> int:
        return self.at_us


class Server(StandaloneServer[str]):
    """One whose peers are names."""

    clock: SetClock


def make_server(*flags: str) -> Server:
    return Server("mine", ["msgspec"], ["--tick-budget", "0", *flags], SetClock("loop"))


@pytest.fixture
def server() -> Server:
    return make_server("--bots", "1", "--seed", "20")


def come(server: Server, peer: str, room: str = "main") -> Player[str]:
    seat = server.answer(f"/connect?room={room}", UPGRADE, "127.0.0.1")
    assert isinstance(seat, Seat)
    return server.connect(seat, peer)


def tick(server: Server, table: Table[str], slow: str = "") -> tuple[str, list[str], list[Player[str]], list[str]]:
    server.clock.at_us += round(table.wait_s * 1_000_000)
    ticked = table.step(lambda peer: peer != slow)
    return ticked.frame, ticked.takers, ticked.told, ticked.sent()


def status(server: Server, target: str, method: str = "GET", host: str = "localhost") -> int:
    page = server.answer(target, [("Host", host)], "127.0.0.1", method)
    assert isinstance(page, Page)
    return page.status


def test_the_first_in_a_room_begins_its_ticks_and_all_get_the_same_frame(server: Server) -> None:
    one, two = come(server, "one"), come(server, "two")
    assert one.hear(HELLO) is True
    assert two.hear(HELLO) is False
    (welcome,) = one.texts()
    assert [command[0] for command in json.loads(welcome)][:3] == ["handshake", "world", "top_scores"]
    frame, takers, told, too_slow = tick(server, one.table)
    assert json.loads(frame)[0][:2] == ["tick", 0]
    assert (takers, told, too_slow) == (["one", "two"], [], [])
    assert (one.texts(), one.closing) == ([], None)
    assert server.core.counters.frames_sent == 2


def test_an_empty_room_stands_still_and_its_ticks_go_on(server: Server) -> None:
    one = come(server, "one")
    one.hear(HELLO)
    first = json.loads(tick(server, one.table)[0])[0]
    one.leave()
    assert not one.table.goes_on()
    server.clock.at_us += 10 * PERIOD_US
    two = come(server, "two")
    assert two.hear(HELLO) is True
    assert two.table is one.table
    second = json.loads(tick(server, two.table)[0])[0]
    assert second[1] == first[1] + 10
    assert second[2] - first[2] == 10 * PERIOD_US


def test_who_is_not_ready_is_skipped_and_told_what_it_missed(server: Server) -> None:
    one, two = come(server, "one"), come(server, "two")
    for player in (one, two):
        player.hear(HELLO)
        player.texts()
    _, takers, told, _ = tick(server, one.table, slow="two")
    assert (takers, told) == (["one"], [])
    _, takers, told, _ = tick(server, one.table)
    assert (takers, told) == (["one", "two"], [two])
    (missed,) = two.texts()
    assert json.loads(missed)[0][0] == "world"
    assert server.core.counters.slow_skips == 1


def test_who_is_not_ready_for_too_long_is_ended(server: Server) -> None:
    one, two = come(server, "one"), come(server, "two")
    for player in (one, two):
        player.hear(HELLO)
    ended: list[str] = []
    for _ in range(round(5 * 1_000_000 / PERIOD_US) + 3):
        ended += tick(server, one.table, slow="two")[3]
    assert ended == ["two"]
    assert server.core.counters.slow_closed == 1
    assert two.hear('["join"]') is False


def test_one_who_says_nothing_or_nonsense_is_to_be_closed(server: Server) -> None:
    silent, binary = come(server, "silent"), come(server, "binary")
    assert silent.patience_s == pytest.approx(10)
    server.clock.at_us += 10_000_001
    assert silent.patience_s == 0
    silent.tire()
    assert silent.texts() == []
    assert silent.closing
    assert silent.closing.code == CloseCode.POLICY_VIOLATION
    binary.hear(HELLO)
    assert binary.patience_s is None
    binary.hear(b"37")
    assert len(binary.texts()) == 1
    assert binary.closing
    assert binary.closing.code == CloseCode.UNSUPPORTED_DATA


def test_a_refusal_of_the_game_is_told_to_one() -> None:
    server = make_server("--max-players", "1", "--bots", "1")
    one = come(server, "one")
    one.hear(HELLO)
    tick(server, one.table)  # the bot is born
    one.texts()
    one.hear('["join"]')
    _, _, told, _ = tick(server, one.table)
    assert told == [one]
    assert one.texts() == ['[["error","Maximum players reached"]]']


def test_nobody_enters_while_ticks_have_no_time_left(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    one = come(server, "one")
    monkeypatch.setattr(server.core, "refuse_entry", lambda _: "busy")
    assert one.hear(HELLO) is False
    one.texts()
    assert one.closing
    assert one.closing.code == CloseCode.TRY_AGAIN_LATER


def test_requests_are_answered_as_by_our_own_servers(server: Server) -> None:
    assert status(server, "/healthz") == 200
    assert status(server, "/stats") == 200
    assert status(server, "/nowhere") == 404
    assert status(server, "/healthz", "POST") == 405
    assert status(server, "/connect") == 426
    assert status(server, "/echo") == 404
    assert status(server, "/healthz", host="evil.example") == 403
    without = [(name, value) for name, value in UPGRADE if name != "Connection"]
    page = server.answer("/connect", without, "127.0.0.1")
    assert isinstance(page, Page)
    assert page.status == 426


def test_a_room_that_was_empty_for_long_is_forgotten_when_somebody_comes(server: Server) -> None:
    seat = server.answer("/connect?room=old", UPGRADE, "127.0.0.1")
    assert isinstance(seat, Seat)
    player = server.connect(seat, "one")
    player.hear(HELLO)
    player.leave()
    server.release(seat)
    server.release(seat)
    assert server.core.lobby.connections == 0
    server.clock.at_us += 61_000_000
    come(server, "two")
    assert list(server.tables) == ["main"]
    assert list(server.core.lobby.rooms) == ["main"]


def test_it_speaks_for_itself_and_not_of_how_ours_are_built(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    stats = server.core.reporter.stats(server.now_us())
    assert stats["arm"] == stats["backend"] == "mine"
    settings, process = stats["settings"], stats["process"]
    assert isinstance(settings, dict)
    assert isinstance(process, dict)
    assert settings["bots"] == 1
    assert not {"mode", "fanout", "framework", "loop", "clock", "deflate"} & settings.keys()
    assert list(process["packages"]) == ["msgspec"]
    server.announce("127.0.0.1", 8123)
    assert capsys.readouterr().out == "mine listening on http://127.0.0.1:8123\n"


@pytest.fixture
def usage(capsys: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    said: list[str] = []
    yield said
    assert said[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--fanout", "library"], "fanout=library is for tickbench's own servers; leave it out"),
        (["--echo"], "--echo is for tickbench's own servers; leave it out"),
        (["--bots", "11"], "--bots 11 are more than --max-players 10"),
    ],
)
def test_what_it_cannot_do_is_one_line(flags: list[str], words: str, usage: list[str]) -> None:
    usage.append(words)
    with pytest.raises(SystemExit) as exited:
        make_server(*flags)
    assert exited.value.code == 2
