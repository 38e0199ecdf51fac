import builtins
import gc
import io
import json
from importlib.metadata import version
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.measure.histogram import HistogramSummary
from shared.server.config import parse_arguments
from shared.server.core import ServerCore
from shared.server.frameworks import framework_of
from shared.server.stats import PAGES_SAVED_UP_US
from shared.system.clock import DueClock
from tests.shared.rooms.visitor import Visitor, step
from tests.shared.wire.test_handshake import GOOD

START = 9_000_000_000


@pytest.fixture
def core() -> ServerCore[Visitor]:
    """A server on which ann plays, after 3 ticks of her room."""
    core: ServerCore[Visitor] = ServerCore(parse_arguments("gevent", ["--tick-rate", "0.5"]), START, 77, list)
    assert core.admit(GOOD, "den", "::1", START) is None
    assert core.admit(GOOD, "no room", "::1", START) is not None
    room, schedule = core.open_room("den", START)
    ann = Visitor()
    ann.enters(room)
    ann.says(room, '["join"]')
    for _ in range(3):
        tick = schedule.begin(schedule.next_due_us + 4_000_000)
        step(room)
        began_us = tick.due_us + tick.lateness_us
        core.ticks.record(tick.due_us, tick.lateness_us, tick.skipped, began_us + 10, began_us + 30, schedule.period_us)
    core.counters.count_end("1008", dead=False)
    return core


def test_stats_has_what_the_protocol_promises(core: ServerCore[Visitor]) -> None:
    stats: dict[str, Any] = json.loads(core.reporter.body("/stats", START + 5))
    assert list(stats) == [
        "backend",
        "arm",
        "version",
        "boot_id",
        "clock_offset_us",
        "started_us",
        "now_us",
        "tick_rate_hz",
        "settings",
        "in_force",
        "connections",
        "rooms",
        "ticks",
        "accepted",
        "frames_sent",
        "slow_skips",
        "dropped",
        "slow_closed",
        "busy_closed",
        "dead",
        "crashed_rooms",
        "closed",
        "turned_away",
        "pages",
        "refused",
        "process",
    ]
    assert (stats["backend"], stats["arm"], stats["version"]) == ("gevent", "gevent", version("tickbench"))
    assert (stats["clock_offset_us"], stats["started_us"], stats["now_us"]) == (77, START, START + 5)
    assert stats["tick_rate_hz"] == 0.5
    assert stats["settings"]["loop"] == "libev"
    assert stats["connections"] == 1
    assert (stats["closed"], stats["refused"]) == ({"1008": 1}, {"404": 1})
    packages = stats["process"]["packages"]
    assert packages == {name: version(name) for name in framework_of("gevent", "gevent-websocket").packages}


def test_stats_tells_of_the_layer_that_is_used_and_of_its_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["--framework", "channels", "--fanout", "naive", "--layer", "redis-pubsub"]
    core: ServerCore[Visitor] = ServerCore(parse_arguments("asyncio", flags), START, 77, lambda: [3])
    assert core.redis
    monkeypatch.setattr(core.redis, "pids", lambda: [4])
    stats: dict[str, Any] = json.loads(core.reporter.body("/stats", START))
    core.close()
    assert (stats["settings"]["layer"], stats["in_force"]["capacity"]) == ("redis-pubsub", None)
    assert stats["process"]["children"] == [3, 4]
    assert {"channels-redis", "redis", "msgpack"} <= stats["process"]["packages"].keys()


def test_a_room_reports_who_is_in_and_how_it_ticks(core: ServerCore[Visitor]) -> None:
    (room,) = json.loads(core.reporter.body("/stats", START))["rooms"]
    assert room == {
        "name": "den",
        "n": 9,
        "t0_us": START,
        "members": 1,
        "alive": 1,
        "ticks": 3,
        "skipped_ticks": 6,
    }


def test_ticks_are_histograms_that_can_be_read_back(core: ServerCore[Visitor]) -> None:
    ticks = json.loads(core.reporter.body("/stats", START))["ticks"]
    assert (ticks["count"], ticks["skipped_ticks"], ticks["overruns"]) == (3, 6, 0)
    for name in ("start_lateness_ms", "compute_ms", "fanout_ms"):
        assert set(ticks[name]) == set(HistogramSummary.__struct_fields__)
        assert ticks[name]["count"] == 3


def test_a_room_without_due_times_is_still_reported(core: ServerCore[Visitor]) -> None:
    core.schedules.clear()
    (room,) = json.loads(core.reporter.body("/stats", START))["rooms"]
    assert (room["n"], room["t0_us"], room["skipped_ticks"]) == (0, None, 0)


def test_metrics_say_the_same(core: ServerCore[Visitor]) -> None:
    families = text_string_to_metric_families(core.reporter.body("/metrics", START).decode())
    values = {sample.name: sample.value for family in families for sample in family.samples}
    assert (values["tickbench_connections"], values["tickbench_ticks_total"]) == (1, 3)
    assert (values["tickbench_skipped_ticks_total"], values["tickbench_closed_total"]) == (6, 1)
    assert (values["tickbench_refused_total"], values["tickbench_fanout_seconds_count"]) == (1, 3)
    assert values["tickbench_fanout_seconds_sum"] == 0.00006
    assert values["tickbench_open_fds"] > 0


def test_what_can_t_change_is_read_once(core: ServerCore[Visitor], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def note(file: Any, *arguments: Any, **options: Any) -> Any:
        opened.append(str(file))
        return opener(file, *arguments, **options)

    opener = io.open
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 5)
    core.reporter.body("/stats", START)
    monkeypatch.setattr(gc, "get_freeze_count", lambda: pytest.fail("it looks at every object that is frozen"))
    for module in (io, builtins):
        monkeypatch.setattr(module, "open", note)
    core.reporter.body("/stats", START)
    core.reporter.body("/metrics", START)
    core.reporter.body("/scores", START)
    assert opened
    assert not [file for file in opened if not file.startswith(("/proc/", "/sys/fs/cgroup/"))], "the disk is not read"
    assert "/proc/sys/kernel/random/boot_id" not in opened


class Ticking(DueClock[Any]):
    """A clock by which all takes 100 us, and 40 us of CPU time."""

    def __init__(self) -> None:
        super().__init__("loop")
        self._now_us = iter(range(START, START + 10_000, 100))
        self._cpu_us = iter(range(5, 10_000, 40))

    def now_us(self) -> int:
        return next(self._now_us)

    def cpu_us(self) -> int:
        return next(self._cpu_us)


def test_pages_are_charged_for_their_own_time_alone(core: ServerCore[Visitor]) -> None:
    core.reporter.budget.take(PAGES_SAVED_UP_US - 100)
    clock = Ticking()
    for is_left in (True, True, False):
        core.reporter.page("/stats", clock)
        assert core.reporter.budget.has_some(START) is is_left


def test_pages_tell_what_they_cost(core: ServerCore[Visitor]) -> None:
    clock = Ticking()
    for path in ("/stats", "/metrics", "/stats", "/scores"):
        body = core.reporter.page(path, clock)
    assert body == core.reporter.body("/scores", START)
    stats = json.loads(core.reporter.page("/stats", clock))
    assert stats["now_us"] == START + 800, "the first reading of the clock"
    assert stats["pages"] == {
        "/stats": {"count": 2, "us": 200},
        "/metrics": {"count": 1, "us": 100},
        "/scores": {"count": 1, "us": 100},
    }
    assert b'tickbench_pages_total{page="/stats"} 3.0' in core.reporter.body("/metrics", START)
    assert b'tickbench_pages_seconds_total{page="/stats"} 0.0003' in core.reporter.body("/metrics", START)


def test_scores_are_listed_by_room(core: ServerCore[Visitor]) -> None:
    room = core.lobby.rooms["den"]
    room.top_scores = [("ann", 7)]
    core.open_room("pit", START)
    assert json.loads(core.reporter.body("/scores", START)) == {"rooms": {"den": [["ann", 7, 1]], "pit": []}}
