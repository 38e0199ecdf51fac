"""
What a fan-out does with those who don't take a frame; and that a large one gives the event loop turns, on both stacks.

The kernel is a fake one: what is written to which descriptor, and how much of it is taken, is the test's.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from shared.rooms.audience import Audience
from shared.wire import forms
from shared.wire.forms import PLAIN
from shared.wire.frames import COMPRESSED, Opcode, server_frame

TEXT = b'[["tick",1,2,3]]'
FRAME = server_frame(Opcode.TEXT, TEXT)
FIRST_FD = 100_000


class Sent:
    """What a send returns: nothing to wait for, on either stack."""

    def __await__(self) -> Iterator[None]:
        return iter(())


class Peer:
    """A connection, as far as a fan-out knows it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.form = PLAIN
        self.frames: list[bytes] = []
        self.rests: list[bytes] = []
        self.has_ended = False
        self.turns_to_wait = 0
        self.session = SimpleNamespace(is_open=True, receive_eof=self._end)
        self.writer = self
        self.pipe = SimpleNamespace(keep=self.rests.append)
        self.ws = SimpleNamespace(broadcast=None, peer=self)

    @property
    def awaits_turn(self) -> bool:
        return self.turns_to_wait > 0

    def _end(self) -> None:
        self.has_ended = True

    def send_text(self, text: str) -> Sent:
        self.frames.append(server_frame(Opcode.TEXT, text.encode()))
        return Sent()


class House:
    """A room full of peers, one backend's fan-out, and a kernel that takes what it is told to."""

    def __init__(self, backend: str, way: str) -> None:
        self._module = import_module(f"backends.{backend}_server.fanout")
        self._fanout = self._module.FANOUTS[way]()
        self.slice: int = self._module.SLICE
        self.peers = [Peer(FIRST_FD + number) for number in range(2 * self.slice + 10)]
        self.audience: Audience[Peer] = Audience()
        self.audience.seat(self.peers)
        self.takes: dict[int, int | OSError] = {}  # by place; who is not in it takes all
        self.sent_at_turns: set[int] = set()

    def write(self, fd: int, data: bytes) -> int:
        """Stand where ``os.write`` is."""
        place = fd - FIRST_FD
        takes = self.takes.get(place, len(data))
        if isinstance(takes, OSError):
            raise takes
        self.peers[place].frames.append(data if takes == len(data) else data[:takes])
        return takes

    def send(self, in_turn: Callable[[], None] = lambda: None) -> list[Peer]:
        """Send a frame; ``in_turn`` is called whenever others have a turn. Return who did not take it."""

        def turn() -> None:
            self.sent_at_turns.add(sum(len(peer.frames) for peer in self.peers))
            in_turn()

        skipped: list[Peer] = (self._send_on_asyncio if "asyncio" in self._module.__name__ else self._send_on_gevent)(
            turn
        )
        return skipped

    def _send_on_asyncio(self, turn: Callable[[], None]) -> Any:
        async def others() -> None:
            while True:
                await asyncio.sleep(0)
                turn()

        async def send() -> Any:
            task = asyncio.create_task(others())
            await asyncio.sleep(0)
            try:
                return await self._fanout.send(self.audience, TEXT)
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

        return asyncio.run(send())

    def _send_on_gevent(self, turn: Callable[[], None]) -> Any:
        def others() -> None:
            while True:
                turn()
                gevent.sleep(0)

        greenlet = gevent.spawn(others)
        try:
            return self._fanout.send(self.audience, TEXT)
        finally:
            greenlet.kill()


@pytest.fixture(params=["asyncio", "gevent"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def frame_once(backend: str, monkeypatch: pytest.MonkeyPatch) -> House:
    house = House(backend, "frame-once")
    monkeypatch.setattr(os, "write", house.write)
    return house


@pytest.fixture(params=["frame-once", "library"])
def house(request: pytest.FixtureRequest, backend: str, monkeypatch: pytest.MonkeyPatch) -> House:
    house = House(backend, request.param)
    monkeypatch.setattr(os, "write", house.write)
    return house


def test_everybody_gets_the_frame_once_and_others_have_a_turn_behind_each_slice(house: House) -> None:
    assert house.send() == []
    assert all(peer.frames == [FRAME] for peer in house.peers)
    assert {house.slice, 2 * house.slice} <= house.sent_at_turns


def test_a_small_fan_out_is_one_slice(house: House) -> None:
    house.audience.seat(house.peers[:10])
    house.send()
    assert house.sent_at_turns <= {0, 10}


def test_who_has_not_taken_the_last_frame_gets_no_new_one(house: House) -> None:
    slow = house.peers[3], house.peers[house.slice + 3]
    for peer in slow:
        peer.fd = -1
    house.audience.is_stale = True
    assert house.send() == list(slow)
    assert [peer.frames for peer in slow] == [[], []]
    assert sum(len(peer.frames) for peer in house.peers) == len(house.peers) - 2


def test_who_becomes_slow_in_a_turn_is_skipped(house: House) -> None:
    last = house.peers[-1]

    def in_turn() -> None:
        if house.peers[house.slice - 1].frames and last.fd >= 0:
            last.fd = -1
            house.audience.is_stale = True

    assert house.send(in_turn) == [last]
    assert last.frames == []


def test_no_tick_ends_before_every_writer_has_begun(backend: str) -> None:
    """On gevent the library's send has a greenlet, which may have to wait for a turn, or for several."""
    house = House(backend, "library")
    last = house.peers[-1]
    last.turns_to_wait = 3

    def in_turn() -> None:
        if last.frames:
            last.turns_to_wait -= 1

    house.send(in_turn)
    assert backend == "asyncio" or last.turns_to_wait <= 0


def test_what_the_kernel_does_not_take_is_kept_for_the_writer(frame_once: House) -> None:
    frame_once.takes = {1: 5, 2: BlockingIOError(), 3: 0}
    assert frame_once.send() == []
    kept = [peer.rests for peer in frame_once.peers[:4]]
    assert kept == [[], [FRAME[5:]], [FRAME], [FRAME]]


def test_each_gets_the_frame_in_its_form(frame_once: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "LEAST_BYTES", 0)
    monkeypatch.setattr(forms, "shorter", lambda _, opcode, data: server_frame(opcode, data, COMPRESSED))
    for place, peer in enumerate(frame_once.peers):
        peer.form = (PLAIN, 9, 15)[place % 3]
    frame_once.takes = {2: 3}
    assert frame_once.send() == []
    frames = forms.Texts(TEXT)
    assert len({frames[form] for form in (PLAIN, 9, 15)}) > 1
    for peer in frame_once.peers:
        assert b"".join([*peer.frames, *peer.rests]) == frames[peer.form]
    built = {id(peer.frames[0]) for peer in frame_once.peers if not peer.rests}
    assert len(built) == 3, "each form was built once"


def test_one_leaver_never_ends_a_tick(frame_once: House) -> None:
    frame_once.takes = {1: ConnectionResetError(), frame_once.slice: BrokenPipeError()}
    assert frame_once.send() == []
    assert [place for place, peer in enumerate(frame_once.peers) if peer.has_ended] == [1, frame_once.slice]
    assert sum(len(peer.frames) for peer in frame_once.peers) == len(frame_once.peers) - 2


def test_as_people_write_it_one_is_sent_to_after_the_other(backend: str) -> None:
    house = House(backend, "naive")
    house.peers[1].session.is_open = False
    assert house.send() == []
    assert [len(peer.frames) for peer in house.peers[:3]] == [1, 0, 1]


def test_where_a_framework_has_one_call_for_all_it_is_made_once() -> None:
    house = House("asyncio", "naive")  # only libraries on asyncio have one
    calls: list[tuple[list[Peer], str]] = []

    async def broadcast(sockets: list[Any], text: str) -> None:
        calls.append(([socket.peer for socket in sockets], text))

    for peer in house.peers:
        peer.ws.broadcast = broadcast
    house.peers[1].session.is_open = False
    assert house.send() == []
    assert calls == [([house.peers[0], *house.peers[2:]], TEXT.decode())]
    assert not any(peer.frames for peer in house.peers)
