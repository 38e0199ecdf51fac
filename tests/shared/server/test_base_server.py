"""What a server does for all of its rooms and connections, with a clock that a test sets and nothing that waits."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from shared.loops.schedule import TickSchedule
from shared.rooms.room import Room
from shared.server.base_server import STEP_S, BaseServer
from shared.server.children import GameChildren
from shared.server.config import parse_arguments
from shared.system.clock import DueClock
from shared.wire.frames import CloseCode
from shared.wire.session import Session

HOUSEKEEPING_US = 100_000


class Clock(DueClock[Any]):
    """Goes on as a test has it; the process has computed all the time but for ``still_us``."""

    at_us = 5_000_000
    still_us = 0

    def now_us(self) -> int:
        return self.at_us

    def process_cpu_us(self) -> int:
        return self.at_us - self.still_us

    def stand_still(self, duration_us: int) -> None:
        self.at_us += duration_us
        self.still_us += duration_us


class Peer:
    """A connection whose peer answers nothing."""

    wakes_us = 0

    def __init__(self, house: "House", room: str) -> None:
        self.loop = house.find_loop(room, session := Session(house.config.limits, house.clock.at_us))
        self.session = session
        self.serial = house.core.roster.next_serial()
        self.did: list[str] = []
        self.house = house
        house.core.lobby.admit(room, "127.0.0.1", overloaded=False)
        house.core.roster.add(self, house.clock.at_us)

    def flush(self) -> None:
        self.did.append("flush")

    def wake(self, _: int) -> None:
        self.did.append("wake")

    def abort(self) -> None:
        self.did.append("abort")
        self.leave()

    def leave(self) -> None:
        self.house.core.roster.remove(self)
        self.house.core.release("main", "127.0.0.1", self.house.clock.at_us)


class House(BaseServer):
    """A server whose waiting a test does."""

    def __init__(self, *flags: str) -> None:
        self.clock = Clock("loop")
        super().__init__(parse_arguments("asyncio", flags), self.clock, GameChildren(0, lambda: None))
        self.fails: Exception | None = None
        self.stopped: list[str] = []
        self.slept_s: list[float] = []

    def look_around(self) -> None:
        rounds = self.keep_house()
        next(rounds)
        next(rounds)

    def own(self, act: Callable[..., Any], *arguments: Any) -> None:
        act(*arguments)

    def run_in_thread(self, act: Callable[[], None]) -> None:
        act()

    def run_on_network(self, act: Callable[[], None]) -> None:
        act()

    def wait_for_each(self, pauses: Iterator[float]) -> None:
        for pause_s in pauses:
            self.slept_s.append(pause_s)
            self.clock.at_us += round(pause_s * 1_000_000)

    def settle(self, room_name: str) -> None:
        """A room is of one process here."""

    def make_loop(self, room: Room[Any], schedule: TickSchedule) -> Any:
        assert schedule.tick_rate_hz == self.config.tick_rate_hz
        if self.fails:
            raise self.fails
        return SimpleNamespace(room=room, stop=lambda: self.stopped.append(room.name))


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.core.scores.close()


def test_a_room_has_one_loop_and_who_is_in_none_has_none(house: House) -> None:
    assert house.room_loop("main") is house.room_loop("main")
    assert house.find_loop(None, Session(house.config.limits, 0)) is None


@pytest.mark.parametrize("error", [OSError("no process"), ValueError("a fault")])
def test_of_a_room_that_can_not_be_opened_nothing_stays(house: House, error: Exception) -> None:
    house.fails = error
    session = Session(house.config.limits, house.clock.at_us)
    with suppress(ValueError):
        assert house.find_loop("main", session) is None
    assert session.is_open == isinstance(error, ValueError), "without a descriptor, its newcomers are sent away"
    assert not house.core.lobby.rooms
    assert not house.core.schedules


def test_a_crash_ends_the_members_of_its_room_and_of_no_other(house: House, caplog: pytest.LogCaptureFixture) -> None:
    mine, other = Peer(house, "main"), Peer(house, "other")
    house.room_crashed(mine.loop, ZeroDivisionError("planted"))
    assert "room main crashed" in caplog.text
    assert mine.did == ["flush", "abort"], "its peer answered nothing"
    assert mine.session.close_label == str(int(CloseCode.INTERNAL_ERROR))
    assert (other.did, other.session.is_open) == ([], True)
    assert list(house.loops) == ["other"]
    assert house.room_loop("main") is not mine.loop


def test_a_layer_that_is_lost_ends_all_rooms_that_somebody_is_in() -> None:
    house = House("--framework", "channels", "--fanout", "naive", "--layer", "redis")
    members = [Peer(house, "main"), Peer(house, "other")]
    for peer in members:
        peer.loop.room.members[1] = peer
    nobody = Peer(house, "third")
    assert house.core.redis
    house.core.redis.on_loss()
    house.core.close()
    assert [peer.did for peer in members] == [["flush", "abort"]] * 2
    assert {peer.session.close_label for peer in members} == {str(int(CloseCode.INTERNAL_ERROR))}
    assert (nobody.did, nobody.session.is_open) == ([], True)
    assert (list(house.loops), house.core.counters.crashed_rooms, house.stopped) == (["third"], 2, ["main", "other"])


def test_who_is_due_is_woken_and_an_empty_room_is_closed(house: House) -> None:
    peer = Peer(house, "main")
    house.clock.at_us = peer.wakes_us
    house.look_around()
    assert peer.did == ["wake"]
    peer.leave()
    house.clock.at_us += 3_600_000_000
    house.look_around()
    assert (house.stopped, house.loops) == (["main"], {})


def test_while_the_process_stands_still_nobody_s_time_passes(house: House) -> None:
    """Neither a connection's, nor that of an empty room, nor of a child that owes an answer."""
    peer, left = Peer(house, "other"), Peer(house, "main")
    left.loop.room.was_entered = True
    left.leave()
    began_s, linger_us = house.running_s(), round(house.config.lobby.room_linger_s * 1_000_000)
    house.clock.at_us = peer.wakes_us - HOUSEKEEPING_US
    house.look_around()
    for _ in range(20):
        house.clock.stand_still(linger_us)
        house.look_around()
    assert (peer.did, list(house.loops)) == ([], ["other", "main"])
    assert house.running_s() - began_s == (peer.wakes_us - HOUSEKEEPING_US - 5_000_000) / 1_000_000
    house.clock.at_us += HOUSEKEEPING_US
    house.look_around()
    assert peer.did == ["wake"]
    house.clock.at_us += linger_us
    house.look_around()
    assert list(house.loops) == ["other"]


def test_a_fault_while_keeping_house_is_said_and_ends_nothing(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(house.core, "crowd_out", fail)
    house.look_around()
    assert "a fault while keeping house" in caplog.text


def test_a_stop_waits_for_those_who_answer_and_aborts_the_others(house: House) -> None:
    peers = [Peer(house, "main") for _ in range(3)]
    pauses = house.see_off()
    assert next(pauses) == 0
    assert [peer.did for peer in peers] == [["flush"]] * 3
    assert next(pauses) == STEP_S
    peers[0].leave()
    house.wait_for_each(pauses)
    assert [peer.did for peer in peers[1:]] == [["flush", "abort"]] * 2
    waited_s = sum(house.slept_s)
    assert house.config.limits.close_limit_s <= waited_s + STEP_S <= house.config.stop_limit_s
    assert not house.core.lobby.connections


def test_a_drain_closes_evenly_and_a_room_after_the_other() -> None:
    house = House("--drain", "10")
    rooms = ["main", "other", "main", "other"] * 25
    peers = [Peer(house, room) for room in rooms]
    began_us, left = house.clock.at_us, []
    for pause_s in house.drain():
        house.wait_for_each(iter([pause_s]))
        passed_s = (house.clock.at_us - began_us) / 1_000_000
        open_rooms = [peer.loop.room.name for peer in peers if peer.session.is_open]
        left.append(open_rooms)
        assert abs(len(open_rooms) - 100 * (1 - passed_s / 10)) <= 2
    assert 10 <= passed_s < 10 + 2 * STEP_S
    assert not house.core.lobby.open
    assert all(not rooms or rooms.count("other") == 50 for rooms in left if "main" in rooms)
    assert {peer.session.close_label for peer in peers if not peer.session.is_open} == {str(int(CloseCode.GOING_AWAY))}
    house.core.scores.close()


def test_a_drain_ends_with_the_last_connection() -> None:
    house = House("--drain", "10")
    peer = Peer(house, "main")
    pauses = house.drain()
    assert next(pauses) == STEP_S
    peer.leave()
    assert list(pauses) == []
    house.core.scores.close()
