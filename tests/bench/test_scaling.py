from typing import Any

import pytest

from tests.bench.scaling import ALONE, BEHIND_HAPROXY, TWO, Parts, costs_us, lines, parts_of, predict, rooms_until_full


def run(arm: str, block: int, cost_us: float, *, ok: bool = True, again: bool = False) -> dict[str, Any]:
    load = {"validity": {"ok": ok}, "server": {"cpu_us_per_frame": cost_us}}
    return {"part": "blocks", "arm": arm, "block": block, "again": again, "load": load}


def test_haproxy_takes_what_a_server_behind_it_takes_more_in_the_same_block() -> None:
    runs = [
        run(ALONE, 1, 50),
        run(ALONE, 1, 99, again=True),
        run(BEHIND_HAPROXY, 1, 70),
        run(BEHIND_HAPROXY, 2, 75),
        run(ALONE, 2, 52),
        run(ALONE, 3, 53),
        run(BEHIND_HAPROXY, 3, 500, ok=False),
    ]
    assert parts_of(costs_us(runs)) == [Parts(50, 20), Parts(52, 23)]


def test_one_server_is_full_when_it_is_and_several_before_all_are() -> None:
    assert rooms_until_full(1, 40) == 40
    assert 40 < rooms_until_full(8, 40) < 8 * 40
    assert rooms_until_full(8, 40) / 40 < rooms_until_full(8, 4000) / 4000, "the more rooms, the more evenly"


def test_the_cores_are_split_as_what_they_do_costs() -> None:
    best = predict(8, Parts(server_us=30, proxy_us=10), 0.5, 200)
    assert (best.servers, best.proxies) == (6, 2)
    a_server = int(500_000 / 30 / 200)
    assert 5 * a_server < best.rooms < 6 * a_server
    assert predict(8, Parts(10, 70), 0.5, 200) == (8, 1, 250), "one server, as HAProxy is the limit"


def test_says_what_it_predicts_from_what() -> None:
    costs = {ALONE: {1: 50.0, 2: 52.0}, BEHIND_HAPROXY: {1: 70.0, 2: 73.0}, TWO: {1: 75.0}}
    load = {"connections": {"requested": 300}, "rooms": 30, "tick_rate_hz": 20.0}
    said = list(lines(costs, [2], 0.7, load))
    assert said[:2] == [
        "a server: 51.0 us a frame (50.0 to 52.0, 2 blocks)",
        "HAProxy: 20.5 us a frame (20.0 to 21.0, 2 blocks)",
    ]
    assert said[-1] == "| 2 | 1 | 1 | 68 | 680 | 670 to 700 |"
    with pytest.raises(SystemExit, match="no block in which both"):
        list(lines({ALONE: {1: 50.0}, BEHIND_HAPROXY: {}}, [2], 0.7, load))
