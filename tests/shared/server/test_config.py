"""Every flag, its environment variable, its bounds; and one line for whoever gets it wrong."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from shared.game.world import Rules
from shared.relay.url import RelayUrl
from shared.rooms.lobby import LobbyLimits
from shared.server.config import LOOPS, ServerConfig, fail_usage, parse_arguments
from shared.wire.forwarded import parse_network
from shared.wire.session import ConnectionLimits
from tickbench.arms import parse_arm

DEFAULT = ServerConfig(
    backend="asyncio",
    host="127.0.0.1",
    port=8000,
    tick_rate_hz=Fraction(20),
    phase=None,
    speed=Fraction(4),
    mode="managed",
    workers=1,
    worker_nice=0,
    worker_limit_s=10.0,
    framework="aiohttp",
    fanout="frame-once",
    deflate="once",
    layer=None,
    clock="timerfd",
    loop="asyncio",
    rules=Rules(50, 25, 10, 0, moves=1, steps=5),
    limits=ConnectionLimits(),
    lobby=LobbyLimits(),
    pad_bytes=0,
    seed="0",
    scores=None,
    relay=None,
    echo=False,
    monitor=False,
    origins=frozenset(),
    trusted_proxies=frozenset(),
    tick_budget=0.8,
    handshake_limit_s=5,
    keep_alive_s=5,
    stop_limit_s=3,
    drain_s=0,
    backlog=1024,
    debug_blocking=False,
)

Change = Callable[[ServerConfig], ServerConfig]


def plain(**changes: Any) -> Change:
    return lambda config: replace(config, **changes)


def within(part: str, **changes: Any) -> Change:
    return lambda config: replace(config, **{part: replace(getattr(config, part), **changes)})


def ticking(rate: Fraction, speed: Fraction) -> Change:
    pace = speed / rate
    return lambda config: within("rules", moves=pace.numerator, steps=pace.denominator)(
        replace(config, tick_rate_hz=rate, speed=speed)
    )


CHANNELS = ("--framework", "channels", "--fanout", "naive")

FLAGS: dict[str, tuple[str, Change]] = {
    "host": ("0.0.0.0", plain(host="0.0.0.0")),  # noqa: S104 # nothing listens
    "port": ("0", plain(port=0)),
    "tick-rate": ("29.97", ticking(Fraction(2997, 100), Fraction(4))),
    "phase": ("0.33", plain(phase=0.33)),
    "speed": ("2.5", ticking(Fraction(20), Fraction(5, 2))),
    "mode": ("thread", plain(mode="thread")),
    "workers": ("3", plain(workers=3)),
    "worker-nice": ("10", plain(worker_nice=10)),
    "worker-limit": ("2.5", plain(worker_limit_s=2.5)),
    "bot-steps": ("20000", within("rules", bot_steps=20000)),
    "fanout": ("library", plain(fanout="library", deflate="off")),
    "deflate": ("off", plain(deflate="off")),
    "layer": ("redis-pubsub", plain(layer="redis-pubsub")),
    "clock": ("loop", plain(clock="loop")),
    "loop": ("uvloop", plain(loop="uvloop")),
    "field": ("100x30", within("rules", width=100, height=30)),
    "max-players": ("4", within("rules", max_players=4)),
    "bots": ("4", within("rules", bots=4)),
    "pad": ("512", plain(pad_bytes=512)),
    "seed": ("x y", plain(seed="x y")),
    "scores": ("top.db", plain(scores=Path("top.db"))),
    "relay": ("unix:/run/bus", plain(relay=RelayUrl("unix", "/run/bus", "unix:/run/bus"))),
    "max-connections": ("7", within("lobby", max_connections=7)),
    "max-per-address": ("7", within("lobby", max_per_address=7)),
    "max-rooms": ("7", within("lobby", max_rooms=7)),
    "room-linger": ("0.5", within("lobby", room_linger_s=0.5)),
    "tick-budget": ("0", plain(tick_budget=0)),
    "max-message": ("100", within("limits", max_message_bytes=100)),
    "max-messages": ("100", within("limits", max_messages=100)),
    "max-faults": ("1", within("limits", max_faults=1)),
    "fault-window": ("1.5", within("limits", fault_window_s=1.5)),
    "new-player-limit": ("1.5", within("limits", new_player_limit_s=1.5)),
    "max-unnamed": ("7", within("limits", max_unnamed=7)),
    "ping-interval": ("1.5", within("limits", ping_interval_s=1.5)),
    "max-missed-pings": ("1", within("limits", max_missed_pings=1)),
    "handshake-limit": ("1.5", plain(handshake_limit_s=1.5)),
    "keep-alive": ("1.5", plain(keep_alive_s=1.5)),
    "slow-limit": ("1.5", within("limits", slow_limit_s=1.5)),
    "close-limit": ("1.5", within("limits", close_limit_s=1.5)),
    "stop-limit": ("1.5", plain(stop_limit_s=1.5)),
    "drain": ("0.5", plain(drain_s=0.5)),
    "framework": ("aiohttp", plain()),
    "backlog": ("16", plain(backlog=16)),
    "origin": ("http://A.example", plain(origins=frozenset({"http://a.example"}))),
    "trusted-proxy": ("10.0.0.0/8", plain(trusted_proxies=frozenset({parse_network("10.0.0.0/8")}))),
    "echo": ("1", plain(echo=True)),
    "monitor": ("1", plain(monitor=True)),
    "debug-blocking": ("1", plain(debug_blocking=True)),
}
"""Every flag with a value, and what it changes."""

COMPANY = {"layer": CHANNELS}
"""Flags that another one goes with."""

SWITCHES = {"echo", "monitor", "debug-blocking"}
"""Flags that take no value on the command line."""


def test_the_defaults_are_those_of_the_protocol() -> None:
    assert parse_arguments("asyncio", []) == DEFAULT


def test_each_backend_has_its_loops() -> None:
    config = parse_arguments("gevent", [])
    assert config == replace(DEFAULT, backend="gevent", framework="gevent-websocket", loop="libev")
    assert {backend: loops[0] for backend, loops in LOOPS.items()} == {"asyncio": "asyncio", "gevent": "libev"}


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_changes_its_setting_and_no_other(flag: str) -> None:
    value, change = FLAGS[flag]
    company = COMPANY.get(flag, ())
    arguments = [f"--{flag}"] if flag in SWITCHES else [f"--{flag}", value]
    assert parse_arguments("asyncio", [*company, *arguments]) == change(parse_arguments("asyncio", company))


@pytest.mark.parametrize("flag", FLAGS)
def test_its_environment_variable_does_the_same(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value, change = FLAGS[flag]
    company = COMPANY.get(flag, ())
    expected = change(parse_arguments("asyncio", company))
    monkeypatch.setenv(f"TICKBENCH_{flag.upper().replace('-', '_')}", value)
    assert parse_arguments("asyncio", company) == expected


def test_a_flag_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKBENCH_PORT", "1000")
    assert parse_arguments("asyncio", ["--port", "2000"]).port == 2000


def test_without_arguments_the_command_line_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["serve", "--port", "1234"])
    assert parse_arguments("asyncio").port == 1234


@pytest.mark.parametrize(
    ("flags", "speed", "moves", "steps"),
    [
        ([], 4, 1, 5),
        (["--tick-rate", "2"], 2, 1, 1),
        (["--tick-rate", "60"], 4, 1, 15),
        (["--speed", "20"], 20, 1, 1),
        (["--speed", "7.5"], 7.5, 3, 8),
    ],
)
def test_the_speed_is_apart_from_the_tick_rate(flags: list[str], speed: float, moves: int, steps: int) -> None:
    config = parse_arguments("asyncio", flags)
    assert float(config.speed) == speed
    assert (config.rules.moves, config.rules.steps) == (moves, steps)
    assert config.settings()["speed"] == speed


@pytest.mark.parametrize(
    ("backend", "flags", "arm"),
    [
        ("asyncio", ["--bots", "5", "--seed", "7", "--field", "60x30", "--phase", "0.5"], "asyncio"),
        ("gevent", ["--fanout", "naive", "--clock", "loop"], "gevent:fanout=naive,clock=loop"),
        ("asyncio", ["--loop", "uvloop"], "asyncio:loop=uvloop"),
        ("asyncio", ["--fanout", "naive"], "asyncio:fanout=naive"),
        ("asyncio", ["--fanout", "naive", "--deflate", "on"], "asyncio:fanout=naive"),
        ("asyncio", ["--fanout", "naive", "--deflate", "off"], "asyncio:fanout=naive,deflate=off"),
        ("asyncio", ["--fanout", "library", "--deflate", "off"], "asyncio:fanout=library"),
        ("asyncio", ["--deflate", "on"], "asyncio:deflate=on"),
        ("asyncio", ["--deflate", "on", "--fanout", "library"], "asyncio:deflate=on"),
        ("gevent", ["--deflate", "once", "--fanout", "frame-once"], "gevent"),
        ("gevent", ["--deflate", "off"], "gevent:deflate=off"),
        ("gevent", ["--mode", "process", "--worker-nice", "10"], "gevent:mode=process,worker-nice=10"),
        ("asyncio", [*CHANNELS, "--layer", "memory"], "asyncio:framework=channels,fanout=naive"),
        ("asyncio", [*CHANNELS, "--layer", "redis"], "asyncio:framework=channels,fanout=naive,layer=redis"),
    ],
)
def test_a_server_knows_what_it_is_called_in_a_comparison(backend: str, flags: list[str], arm: str) -> None:
    assert parse_arguments(backend, flags).arm == parse_arm(arm).name == arm


def test_origins_can_be_given_several_times() -> None:
    config = parse_arguments("asyncio", ["--origin", "http://a", "--origin", "http://B"])
    assert config.origins == {"http://a", "http://b"}


@pytest.mark.parametrize("text", ["10.0.0.0/8 ::1", "10.0.0.0/8,::1", " 10.0.0.0/8 , ::1,"])
def test_a_list_in_the_environment_is_one_of_commas_or_spaces(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKBENCH_TRUSTED_PROXY", text)
    monkeypatch.setenv("TICKBENCH_ORIGIN", "http://a, http://B")
    config = parse_arguments("asyncio", [])
    assert {str(network) for network in config.trusted_proxies} == {"10.0.0.0/8", "::1/128"}
    assert config.origins == {"http://a", "http://b"}


def test_help_lists_every_flag_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        parse_arguments("gevent", ["--help"])
    assert exited.value.code == 0
    out, err = capsys.readouterr()
    listed = {word.removeprefix("--").rstrip(",") for word in out.split() if word.startswith("--")}
    assert {word for word in listed if word in FLAGS or word == "help"} == {*FLAGS, "help"}
    assert "python -m backends.gevent_server" in out
    assert "[default: 1024" in " ".join(out.split())
    assert err == ""


def test_no_flag_is_untested() -> None:
    import shared.server.config  # noqa: PLC0415 # a private list

    options = [option(lambda **_: None).__click_params__[0] for option in shared.server.config._options("asyncio")]
    assert {parameter.opts[0] for parameter in options} == {f"--{flag}" for flag in FLAGS}
    assert all(parameter.help for parameter in options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "65536"], ["--port", "65536"]),
        (["--port", "-1"], ["--port"]),
        (["--port", "http"], ["--port", "http"]),
        (["--tick-rate", "0"], ["--tick-rate", "0", "1000"]),
        (["--tick-rate", "-20"], ["--tick-rate"]),
        (["--tick-rate", "1000.1"], ["--tick-rate", "1000"]),
        (["--tick-rate", "nan"], ["--tick-rate", "such as 20"]),
        (["--tick-rate", "inf"], ["--tick-rate"]),
        (["--tick-rate", "fast"], ["--tick-rate", "fast", "such as 20"]),
        (["--tick-rate", "1/0"], ["--tick-rate"]),
        (["--tick-rate", "0.0000001"], ["--tick-rate"]),
        (["--tick-rate", ""], ["--tick-rate"]),
        (["--phase", "1"], ["--phase 1", "less than 1"]),
        (["--phase", "-0.1"], ["--phase -0.1", "from 0"]),
        (["--phase", "nan"], ["--phase nan", "less than 1"]),
        (["--phase", "half"], ["--phase", "half"]),
        (["--speed", "0"], ["--speed", "0", "1000"]),
        (["--speed", "slow"], ["--speed", "slow", "cells a second"]),
        (["--speed", "21"], ["--speed 21", "--tick-rate 20", "20 or less"]),
        (["--speed", "5", "--tick-rate", "2.5"], ["--speed 5", "--tick-rate 2.5"]),
        (["--mode", "fast"], ["--mode", "managed"]),
        (["--fanout", "slow"], ["--fanout", "frame-once", "library", "naive"]),
        (["--clock", "sun"], ["--clock", "timerfd", "loop"]),
        (["--loop", "libev"], ["--loop", "asyncio", "uvloop"]),
        (["--field", "19x11"], ["--field", "20x11", "1000x1000"]),
        (["--field", "20x10"], ["--field", "20x11"]),
        (["--field", "1001x20"], ["--field", "1000x1000"]),
        (["--field", "20x1001"], ["--field", "1000x1000"]),
        (["--field", "50"], ["--field", "WIDTHxHEIGHT"]),
        (["--field", "50x25x2"], ["--field"]),
        (["--field", "-50x25"], ["--field"]),
        (["--field", "999999999999x25"], ["--field"]),
        (["--max-players", "0"], ["--max-players"]),
        (["--max-players", "1001"], ["--max-players"]),
        (["--bots", "-1"], ["--bots"]),
        (["--bots", "1001", "--max-players", "1000"], ["--bots"]),
        (["--bots", "11"], ["--bots 11", "--max-players 10"]),
        (["--pad", "-1"], ["--pad"]),
        (["--pad", "15000001"], ["--pad"]),
        (["--max-connections", "0"], ["--max-connections"]),
        (["--max-rooms", "0"], ["--max-rooms"]),
        (["--tick-budget", "-0.1"], ["--tick-budget"]),
        (["--max-message", "0"], ["--max-message"]),
        (["--max-message", "16777217"], ["--max-message"]),
        (["--max-messages", "0"], ["--max-messages"]),
        (["--ping-interval", "0"], ["--ping-interval"]),
        (["--ping-interval", "0.009"], ["--ping-interval"]),
        (["--ping-interval", "86401"], ["--ping-interval"]),
        (["--close-limit", "soon"], ["--close-limit"]),
        (["--drain", "-1"], ["--drain"]),
        (["--scores", "."], ["--scores"]),
        (["--scores", "redis://:secret@host/x"], ["--scores", "redis://", "would be right"]),
        (["--relay", "http://host"], ["--relay", "http://host", "unix:PATH"]),
        (["--relay", "unix:/run/bus", "--fanout", "naive"], ["--relay", "naive"]),
        (["--scores", "mysql://host"], ["--scores", "mysql://", "memcached://HOST[:PORT]"]),
        (["--seed"], ["--seed"]),
        (["--spead", "9"], ["--spead"]),
        (["extra"], ["extra"]),
    ],
    ids=lambda value: " ".join(value)[:30],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        parse_arguments("asyncio", arguments)
    out, err = capsys.readouterr()
    assert exited.value.code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert [word for word in words if word not in err] == []


@pytest.mark.parametrize(
    ("backend", "flags", "words"),
    [
        ("asyncio", ["--fanout", "frame-once", "--deflate", "on"], ["--deflate on", "library or naive"]),
        ("asyncio", ["--fanout", "naive", "--deflate", "once"], ["--deflate once", "--fanout naive", "frame-once"]),
        ("gevent", ["--fanout", "library", "--deflate", "once"], ["--deflate once", "--fanout library"]),
        ("gevent", ["--deflate", "on"], ["gevent-websocket", "can't do --deflate on", "off, once"]),
        ("gevent", ["--fanout", "naive", "--deflate", "on"], ["gevent-websocket", "can't do --deflate on"]),
        ("asyncio", ["--deflate", "always"], ["--deflate", "always", "off", "on", "once"]),
        ("asyncio", ["--layer", "redis"], ["aiohttp", "no layer", "--layer", "channels and daphne"]),
        ("gevent", ["--layer", "memory", "--fanout", "naive"], ["gevent-websocket", "no layer", "channels and daphne"]),
        (
            "asyncio",
            ["--framework", "daphne", "--layer", "redis"],
            ["--layer", "not with --fanout frame-once", "naive"],
        ),
        ("asyncio", [*CHANNELS, "--layer", "zmq"], ["--layer", "zmq", "memory", "redis", "redis-pubsub"]),
    ],
)
def test_a_way_to_send_that_can_not_be_is_one_line(
    backend: str, flags: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        parse_arguments(backend, flags)
    err = capsys.readouterr().err
    assert exited.value.code == 2
    assert err.count("\n") == 1
    assert [word for word in words if word not in err] == []


@pytest.mark.parametrize(
    ("backend", "flags", "fanout", "deflate"),
    [
        ("asyncio", [], "frame-once", "once"),
        ("gevent", [], "frame-once", "once"),
        ("gevent", ["--fanout", "library"], "library", "off"),
        ("asyncio", ["--deflate", "off"], "frame-once", "off"),
        ("asyncio", ["--deflate", "on"], "library", "on"),
        ("asyncio", ["--deflate", "once"], "frame-once", "once"),
        ("asyncio", ["--fanout", "naive"], "naive", "on"),
        ("asyncio", ["--fanout", "naive", "--framework", "starlette"], "naive", "on"),
        ("asyncio", ["--fanout", "naive", "--deflate", "off"], "naive", "off"),
        ("gevent", ["--fanout", "naive"], "naive", "off"),
        ("gevent", ["--deflate", "once"], "frame-once", "once"),
    ],
)
def test_what_compresses_and_what_writes_go_together(backend: str, flags: list[str], fanout: str, deflate: str) -> None:
    config = parse_arguments(backend, flags)
    assert (config.fanout, config.deflate) == (fanout, deflate)


def test_bad_input_from_the_environment_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TICKBENCH_FIELD", "9x9")
    with pytest.raises(SystemExit) as exited:
        parse_arguments("asyncio", [])
    assert exited.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "65535"],
        ["--max-players", "1"],
        ["--max-players", "1000"],
        ["--bots", "10"],
        ["--max-players", "1000", "--bots", "1000"],
        ["--pad", "15000000"],
        ["--max-message", "1"],
        ["--max-message", "16777216"],
        ["--ping-interval", "0.01"],
        ["--ping-interval", "86400"],
        ["--tick-rate", "0.000001"],
        ["--phase", "0"],
        ["--phase", "0.999999"],
    ],
    ids=" ".join,
)
def test_what_is_just_within_its_bounds_is_allowed(arguments: list[str]) -> None:
    assert parse_arguments("asyncio", arguments) != DEFAULT


@pytest.mark.parametrize("field", ["20x11", "1000x1000"])
def test_the_bounds_of_the_field_are_allowed(field: str) -> None:
    rules = parse_arguments("asyncio", ["--field", field]).rules
    assert f"{rules.width}x{rules.height}" == field


@pytest.mark.parametrize(
    ("text", "rate"), [("1000", Fraction(1000)), ("0.5", Fraction(1, 2)), ("0.001", Fraction(1, 1000))]
)
def test_a_rate_is_exact(text: str, rate: Fraction) -> None:
    config = parse_arguments("asyncio", ["--tick-rate", text])
    assert config.tick_rate_hz == rate
    assert config.period_us == 1_000_000 / float(rate)


def test_the_settings_name_what_an_arm_may_change() -> None:
    config = parse_arguments("asyncio", ["--field", "60x30", "--bots", "2", "--pad", "9", "--max-connections", "5"])
    assert config.settings() == {
        "mode": "managed",
        "workers": 1,
        "worker_nice": 0,
        "framework": "aiohttp",
        "fanout": "frame-once",
        "deflate": "once",
        "layer": None,
        "clock": "timerfd",
        "loop": "asyncio",
        "phase": None,
        "speed": 4.0,
        "field": "60x30",
        "max_players": 10,
        "bots": 2,
        "bot_steps": 0,
        "pad_bytes": 9,
        "seed": "0",
        "tick_budget": 0.8,
        "max_connections": 5,
        "slow_limit_s": 5,
        "backlog": 1024,
        "debug_blocking": False,
        "relay": None,
    }


def test_a_message_of_several_lines_is_told_in_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        fail_usage("what\nis   wrong")
    assert (exited.value.code, capsys.readouterr().err) == (2, "error: what is wrong\n")


@pytest.mark.parametrize(
    ("host", "bound", "url"),
    [
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "0.0.0.0", "http://0.0.0.0:80"),  # noqa: S104 # it is the case
        ("::1", "::1", "http://[::1]:80"),
        ("::", "::", "http://[::]:80"),
        ("fe80::1%eth0", "fe80::1", "http://[fe80::1%25eth0]:80"),
        ("localhost", "127.0.0.1", "http://127.0.0.1:80"),
        ("localhost", "::1", "http://[::1]:80"),
    ],
)
def test_the_ready_line_is_an_address_to_go_to(host: str, bound: str, url: str) -> None:
    assert parse_arguments("gevent", ["--host", host]).ready_line(bound, 80) == f"tickbench gevent listening on {url}"


def test_the_ready_line_says_what_an_address_does_not() -> None:
    line = parse_arguments("gevent", ["--host", "::"]).ready_line("::", 80, "IPv6 and IPv4")
    assert line == "tickbench gevent listening on http://[::]:80 (IPv6 and IPv4)"


@pytest.mark.parametrize(
    ("host", "kept"),
    [("[::1]", "::1"), ("[fe80::1%25eth0]", "fe80::1%eth0"), ("Bücher.example", "xn--bcher-kva.example")],
)
def test_a_host_is_taken_as_it_stands_in_a_url(host: str, kept: str) -> None:
    assert parse_arguments("gevent", ["--host", host]).host == kept


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "fe80::1"], "name the interface, such as fe80::1%eth0"),
        (["--host", "a..b"], "no name or address"),
        (["--host", "::1:x"], "no IPv6 address"),
        (["--origin", "good.example:x"], "no origin; right would be http://HOST"),
        (["--origin", "wss://good.example"], "https://good.example would be one"),
        (["--origin", "http://good.example/page"], "http://good.example would be one"),
        (["--trusted-proxy", "proxy.example"], "no network; right would be 10.0.0.0/8"),
        (["--trusted-proxy", "10.0.0.7/8"], "right would be 10.0.0.7 or 10.0.0.0/8"),
        (["--trusted-proxy", ""], "no network"),
    ],
)
def test_hosts_origins_and_networks_that_are_none_are_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        parse_arguments("asyncio", arguments)
    said = capsys.readouterr().err
    assert exited.value.code == 2
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert words in said
