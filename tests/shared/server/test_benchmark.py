import json
from types import SimpleNamespace
from typing import Any

import pytest

from shared.measure.blocks import ClockBlock, FanoutBlock, one_line
from shared.rooms.audience import Audience
from shared.server.benchmark import PAUSE_S, Bench


class House:
    """A server without sockets, whose time goes on only while it is waited for."""

    def __init__(self, members: int) -> None:
        self.now_ns = self.cpu_ns = 0
        self.late_ns: list[int] = []  # CPU time that is used in pauses, one after the other
        self.did: list[str] = []
        self.audience: Audience[Any] = Audience()
        self.members = [
            SimpleNamespace(
                fd=number,
                session=SimpleNamespace(is_open=True),
                ws=SimpleNamespace(unsent_bytes=lambda: 0),
            )
            for number in range(members)
        ]
        room = SimpleNamespace(members=dict(enumerate(self.members)), recipients=lambda: self.members)
        self.rooms = {"main": room} if members else {}
        ticks = SimpleNamespace(record=lambda *_: self.did.append("record"))
        self.config = SimpleNamespace(fanout="frame-once")
        server: Any = SimpleNamespace(
            core=SimpleNamespace(lobby=SimpleNamespace(rooms=self.rooms), ticks=ticks),
            room_loop=lambda _: SimpleNamespace(audience=self.audience),
            config=self.config,
        )
        clock = SimpleNamespace(now_us=lambda: self.now_ns // 1000, sleep_until=self.sleep_until)
        fanouts = {way: lambda way=way: SimpleNamespace(send=self.sender(way)) for way in ("naive", "frame-once")}
        self.bench = Bench(
            server,
            {"timerfd": clock, "loop": clock},
            fanouts,
            self.members.index,
            lambda: self.now_ns,
            lambda: self.cpu_ns,
            self.pause,
            lambda fileno: SimpleNamespace(send=self.take, detach=lambda: self.did.append(f"detach {fileno}")),
            self.sleep,
            members or 1,
        )

    def sender(self, way: str) -> Any:
        def send(audience: Audience[Any], text: bytes) -> None:
            self.did.append(f"{way} {len(audience.members)} x {len(text)}")
            self.now_ns += 6000

        return send

    def take(self, frame: bytes) -> int:
        self.did.append("raw")
        self.now_ns += 2000
        return len(frame)

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def pause(self) -> None:
        self.sleep(PAUSE_S)
        self.cpu_ns += 100 + (self.late_ns.pop(0) if self.late_ns else 0)

    def sleep_until(self, due_us: int) -> None:
        self.now_ns = due_us * 1000 + 7000

    def answers(self, capsys: pytest.CaptureFixture[str], *blocks: FanoutBlock | ClockBlock) -> list[str]:
        for act in self.bench.program(one_line(block) for block in blocks):
            act()
        return capsys.readouterr().out.splitlines()


def test_fan_outs_are_timed_in_turns_for_each_connection(capsys: pytest.CaptureFixture[str]) -> None:
    house = House(2)
    full, answer = house.answers(capsys, FanoutBlock(["raw", "naive", "recording"], 2, 50))
    assert full == "full"
    assert json.loads(answer) == {"us": {"raw": [2, 2], "naive": [3, 3], "recording": [0, 0]}}
    once = ["raw", "raw", "naive 2 x 50", "record"]
    assert house.did == [*once, "naive 2 x 50", "record", "raw", "raw", "detach 0", "detach 1"]


def test_what_is_written_after_the_call_counts_too(capsys: pytest.CaptureFixture[str]) -> None:
    house = House(2)
    house.config.fanout = "naive"
    house.members[0].fd = -1  # as all of them there
    house.late_ns = [0] * 6 + [0, 8000, 2000]  # the first six are before the ticks; then behind each
    _, answer = house.answers(capsys, FanoutBlock(["raw", "naive"], 1, 50))
    assert json.loads(answer) == {"us": {"raw": [2], "naive": [8]}}


def test_a_reader_that_has_gone_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    house = House(2)
    house.members[1].session.is_open = False
    with pytest.raises(RuntimeError, match="has ended"):
        house.answers(capsys, FanoutBlock(["raw"], 1, 50))


def test_waits_are_timed_and_followed_by_a_fan_out(capsys: pytest.CaptureFixture[str]) -> None:
    house = House(3)
    _, answer = house.answers(capsys, ClockBlock(["time.sleep", "loop"], 1, 100, 2, 50))
    assert json.loads(answer) == {"us": {"time.sleep": [0], "loop": [7]}}
    assert house.did[:2] == ["frame-once 2 x 50"] * 2
    assert len(house.answers(capsys, ClockBlock(["loop"], 2, 100, 0, 50))) == 2
    assert "frame-once" not in "".join(house.did[5:])


def test_a_room_that_fills_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    house = House(0)
    program = house.bench.program([])
    next(program)
    assert capsys.readouterr().out == ""
    house.rooms["main"] = SimpleNamespace(members={1: None}, recipients=list)
    assert list(program) == []
    assert capsys.readouterr().out == "full\n"


def test_readers_that_are_too_slow_are_no_bench(capsys: pytest.CaptureFixture[str]) -> None:
    house = House(1)
    house.members[0].fd = -1
    with pytest.raises(RuntimeError, match="the readers are too slow"):
        house.answers(capsys, FanoutBlock(["raw"], 1, 50))
    assert house.did == ["detach 0"]
