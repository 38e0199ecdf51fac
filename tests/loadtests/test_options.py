from argparse import Namespace
from pathlib import Path

import pytest

from loadtests.options import DEFAULT_SPAWN_RATE, read_options
from loadtests.scenarios import SCENARIOS


def parsed(**changes: object) -> Namespace:
    asked = {
        "host": "http://127.0.0.1:8000",
        "scenario": "steady",
        "spawn_rate": None,
        "warm_up": 2.0,
        "measure": 10.0,
        "connect_timeout": 10.0,
        "out": "",
    }
    return Namespace(**(asked | changes))


def test_what_was_asked_for(tmp_path: Path) -> None:
    options = read_options(parsed(out=str(tmp_path / "out.json"), measure="3", host=None), users=7)
    assert options.target.url == "ws://127.0.0.1:8000/connect"
    assert (options.users, options.spawn_rate, options.measure_s) == (7, DEFAULT_SPAWN_RATE, 3.0)
    assert options.out == tmp_path / "out.json"
    assert options.scenario.user == "Spectator"
    assert read_options(parsed(), users=1).out is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"host": "x"}, "not a WebSocket URL"),
        ({"scenario": "storm of the century"}, "right would be one of steady, players"),
        ({"measure": 0.5}, "--measure 0.5: right would be a number of at least 1"),
        ({"measure": "soon"}, "--measure soon"),
        ({"warm_up": -1.0}, "--warm-up"),
        ({"connect_timeout": float("nan")}, "--connect-timeout"),
        ({"out": "/"}, "--out /"),
        ({"out": "/no/such/folder/out.json"}, "existing folder"),
    ],
)
def test_what_cannot_be_done(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_options(parsed(**changes), users=1)


def test_rooms_of_scenarios() -> None:
    assert SCENARIOS["steady"].room(25) is None
    assert [SCENARIOS["players"].room(index) for index in (0, 9, 10, 25)] == ["r0", "r0", "r1", "r2"]
