"""The table of frameworks: each is a file of its backend's, with fan-outs and packages that exist."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp.web import WebSocketResponse
from channels.layers import InMemoryChannelLayer
from channels_redis.core import RedisChannelLayer
from picows import ws_create_server
from websockets.asyncio.server import serve

from shared.server.frameworks import FANOUTS, FRAMEWORKS, LAYERS, FrameworkEntry, framework_of, module_of, packages_of

BACKENDS = Path(__file__).resolve().parents[3] / "backends"
BESIDE = {"__init__", "asgi", "base", "doorkeeper", "redis_layers", "twisted", "uvicorn"}
"""Files that are no framework."""


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_each_framework_is_a_file_and_each_file_a_framework(backend: str) -> None:
    files = {path.stem for path in (BACKENDS / f"{backend}_server" / "frameworks").glob("*.py")} - BESIDE
    modules = {module_of(backend, name) for name in FRAMEWORKS[backend]}
    assert modules == {f"backends.{backend}_server.frameworks.{file}" for file in files}


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_the_default_can_do_every_fan_out_and_every_one_some(backend: str) -> None:
    first, *others = FRAMEWORKS[backend]
    assert framework_of(backend, first).fanouts == FANOUTS
    for name in others:
        assert set(framework_of(backend, name).fanouts) <= set(FANOUTS)
        assert framework_of(backend, name).fanouts


def test_each_can_leave_compression_out_and_none_has_what_it_lacks() -> None:
    entries = [entry for frameworks in FRAMEWORKS.values() for entry in frameworks.values()]
    assert all("off" in entry.deflates for entry in entries)
    assert [entry for entry in entries if ("on" in entry.deflates) != (entry.deflate is not None)] == []
    hidden = FrameworkEntry((), fanouts=("library", "naive"), deflate="off")
    assert hidden.deflates == ("off", "on")
    assert [hidden.usual_deflate(fanout) for fanout in hidden.fanouts] == ["off", "off"]


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_each_names_the_packages_that_a_result_states(backend: str) -> None:
    for name in FRAMEWORKS[backend]:
        assert "msgspec" in framework_of(backend, name).packages


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_each_says_which_of_its_own_defaults_naive_leaves_in_force(backend: str) -> None:
    for name in FRAMEWORKS[backend]:
        assert {"nagle", "waits_for_peer", "ping_interval_s"} <= framework_of(backend, name).naive.keys()


def defaults(of: Callable[..., object]) -> dict[str, object]:
    return {name: parameter.default for name, parameter in inspect.signature(of).parameters.items()}


def test_they_are_what_the_libraries_have() -> None:
    ours, told = framework_of("asyncio", "websockets").naive, defaults(serve)
    assert (ours["ping_interval_s"], ours["ping_timeout_s"]) == (told["ping_interval"], told["ping_timeout"])
    assert (ours["max_queue"], ours["write_limit_bytes"]) == (told["max_queue"], told["write_limit"])
    ours, told = framework_of("asyncio", "picows").naive, defaults(ws_create_server)
    assert (ours["read_buffer_init_bytes"], told["enable_auto_ping"]) == (told["read_buffer_init_size"], False)
    ours, told = framework_of("asyncio", "aiohttp").naive, defaults(WebSocketResponse)
    assert (ours["ping_interval_s"], ours["writer_limit_bytes"]) == (told["heartbeat"], told["writer_limit"])
    for layer, of in (("memory", InMemoryChannelLayer), ("redis", RedisChannelLayer)):
        ours, told = framework_of("asyncio", "channels").in_force("naive", layer), defaults(of)
        assert (ours["capacity"], ours["expiry_s"]) == (told["capacity"], told["expiry"])
        assert ours["group_expiry_s"] == told["group_expiry"]


def test_what_is_in_force_is_what_a_layer_bounds_too_and_its_packages_are_told_where_it_is_used() -> None:
    channels = framework_of("asyncio", "channels")
    assert channels.in_force("library", None) == {}
    assert channels.in_force("naive", "memory").keys() == channels.naive.keys() | LAYERS["memory"].bounds.keys()
    assert channels.in_force("naive", "redis-pubsub")["capacity"] is None
    assert packages_of("asyncio", "channels", "memory") == channels.packages
    assert {*packages_of("asyncio", "daphne", "redis")} - {*framework_of("asyncio", "daphne").packages} == {
        "channels-redis",
        "redis",
        "msgpack",
    }
