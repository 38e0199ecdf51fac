"""What a cluster says of itself: its servers' figures added up."""

from typing import Any

import msgspec

from shared.measure.histogram import Histogram
from tickbench.cluster.whole import added, merge


def histogram(*values_us: int) -> dict[str, Any]:
    it = Histogram()
    for us in values_us:
        it.record(us)
    builtins: dict[str, Any] = msgspec.to_builtins(it.summary())
    return builtins


def page(pid: int, *values_us: int, **fields: Any) -> dict[str, Any]:
    return {
        "backend": "asyncio",
        "started_us": 10 + pid,
        "now_us": 100 + pid,
        "connections": 3,
        "rooms": [{"name": f"room {pid}", "n": 5, "members": 3}],
        "ticks": {"count": len(values_us), "start_lateness_ms": histogram(*values_us)},
        "accepted": 4,
        "closed": {"1001": pid},
        "refused": {"503": 1},
        "process": {"pid": pid, "cpu_s": 1.5, "rss_bytes": 10, "python": "3.11", "packages": {}}
        | {"gc_thresholds": [1], "gc_frozen": 2},
        **fields,
    }


def test_counters_and_histograms_are_added_up() -> None:
    whole = merge([page(1, 100, 200), page(2, 300)], {"pid": 9, "cpu_s": 7.0})
    assert whole["connections"] == 6
    assert whole["accepted"] == 8
    assert whole["closed"] == {"1001": 3}
    assert whole["refused"] == {"503": 2}
    assert whole["ticks"] == {"count": 3, "start_lateness_ms": histogram(100, 200, 300)}
    assert (whole["started_us"], whole["now_us"]) == (11, 102)
    assert [room["name"] for room in whole["rooms"]] == ["room 1", "room 2"]
    assert whole["process"] == {
        "pid": 9,
        "cpu_s": 7.0,
        "python": "3.11",
        "packages": {},
        "gc_thresholds": [1],
        "gc_frozen": 2,
    }
    assert [each["pid"] for each in whole["processes"]] == [1, 2]


def test_what_only_some_have_counted_is_there() -> None:
    assert added([{"a": 1}, {"b": 2}, {"a": 3}]) == {"a": 4, "b": 2}


def test_a_room_of_several_is_one() -> None:
    rooms = [[{"name": "den", "n": n, "members": members}] for n, members in ((7, 2), (9, 5))]
    whole = merge([page(1, rooms=rooms[0]), page(2, rooms=rooms[1])], {})
    assert whole["rooms"] == [{"name": "den", "n": 9, "members": 5}]


def test_the_relay_is_up_if_it_is_for_all() -> None:
    relays = [{"url": "unix:x", "is_up": up, "guests": 2, "hop": histogram(us)} for up, us in ((True, 5), (False, 9))]
    whole = merge([page(1, relay=relays[0]), page(2, relay=relays[1])], {})
    assert whole["relay"] == {"url": "unix:x", "is_up": False, "guests": 4, "hop": histogram(5, 9)}
