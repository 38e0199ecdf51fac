"""A package that is missing is one line that names it and what needs it; what does not need it goes on without."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.server import run_server

STARLETTE = ["tickbench", "serve", "asyncio", "--framework", "starlette"]
WEBSOCKETS = [*STARLETTE[:-1], "websockets"]
PICOWS = [*STARLETTE[:-1], "picows"]
TORNADO = [*STARLETTE[:-1], "tornado"]
AUTOBAHN = [*STARLETTE[:-1], "autobahn"]
CHANNELS = [*STARLETTE[:-1], "channels"]
DAPHNE = [*STARLETTE[:-1], "daphne"]
LAYER = ["--fanout", "naive", "--layer"]
FLASK_SOCK = ["tickbench", "serve", "gevent", "--framework", "flask-sock"]
REDIS = ["backends.asyncio_server", "--port", "0", "--scores", "redis://127.0.0.1:1"]
MEMCACHED = ["backends.gevent_server", "--port", "0", "--scores", "memcached://127.0.0.1:1"]
ROOT = Path(__file__).resolve().parent.parent
LACKING = ROOT / "tests" / "support" / "lacking"


def without(*modules: str) -> Mapping[str, str]:
    """Return the variables of a process in which these are missing."""
    return {"PYTHONPATH": os.pathsep.join([str(LACKING), str(ROOT)]), "LACKING": ",".join(modules)}


def run_without(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    environment = {**os.environ, **without(module)}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment, cwd=ROOT)


def test_a_server_runs_without_the_loop_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in without("uvloop", "_cffi_backend").items():
        monkeypatch.setenv(name, value)
    with run_server("asyncio") as server:
        assert "uvloop" not in server.stats()["process"]["packages"]
        assert server.stats()["process"]["packages"]["aiohttp"]
    with run_server("gevent") as server:
        assert server.stats()["process"]["packages"]["gevent"]


@pytest.mark.parametrize(
    ("extra", "module", "arguments", "words"),
    [
        ("server", "uvloop", ["backends.asyncio_server", "--loop", "uvloop"], "--loop uvloop needs the package uvloop"),
        ("server", "_cffi_backend", ["backends.gevent_server", "--loop", "libuv"], "loop libuv needs the package cffi"),
        ("server", "aiohttp", ["tickbench", "serve", "asyncio"], "--framework aiohttp needs the package aiohttp"),
        ("server", "uvicorn", STARLETTE, "--framework starlette needs the package uvicorn"),
        ("server", "starlette", STARLETTE, "--framework starlette needs the package starlette"),
        ("server", "websockets", STARLETTE, "--framework starlette needs the package websockets"),
        ("server", "h11", STARLETTE, "--framework starlette needs the package h11"),
        ("server", "websockets", WEBSOCKETS, "--framework websockets needs the package websockets"),
        ("frameworks", "picows", PICOWS, "--framework picows needs the package picows"),
        ("frameworks", "tornado", TORNADO, "--framework tornado needs the package tornado"),
        ("frameworks", "autobahn", AUTOBAHN, "--framework autobahn needs the package autobahn"),
        ("frameworks", "twisted", AUTOBAHN, "--framework autobahn needs the package twisted"),
        ("frameworks", "channels", CHANNELS, "--framework channels needs the package channels"),
        ("frameworks", "django", CHANNELS, "--framework channels needs the package django"),
        ("frameworks", "daphne", DAPHNE, "--framework daphne needs the package daphne"),
        ("frameworks", "channels_redis", [*CHANNELS, *LAYER, "redis"], "layer redis needs the package channels-redis"),
        ("frameworks", "redis", [*DAPHNE, *LAYER, "redis-pubsub"], "--layer redis-pubsub needs the package redis"),
        ("server", "gevent", ["tickbench", "serve", "gevent"], "the backend gevent needs the package gevent"),
        ("server", "flask", ["backends.gevent_server"], "--framework gevent-websocket needs the package flask"),
        ("server", "geventwebsocket", ["backends.gevent_server"], "websocket needs the package gevent-websocket"),
        ("frameworks", "flask_sock", FLASK_SOCK, "--framework flask-sock needs the package flask-sock"),
        ("frameworks", "simple_websocket", FLASK_SOCK, "--framework flask-sock needs the package simple-websocket"),
        ("frameworks", "wsproto", FLASK_SOCK, "--framework flask-sock needs the package wsproto"),
        ("scores", "redis", REDIS, "--scores redis:// needs the package redis"),
        ("scores", "pymemcache", MEMCACHED, "--scores memcached:// needs the package pymemcache"),
        ("load", "websocket", ["tickbench", "conformance", "ws://x"], "conformance needs the package websocket-client"),
        ("compare", "plotly", ["tickbench", "report", "results"], "tickbench report needs the package plotly"),
        ("compare", "scipy", ["tickbench", "compare", "--suite", "quick"], "tickbench compare needs the package scipy"),
        ("load", "locust", ["tickbench", "compare"], "a load run needs the package locust"),
        ("load", "locust", ["tickbench", "load", "ws://127.0.0.1:1"], "a load run needs the package locust"),
        ("load", "gevent", ["tickbench", "load", "ws://127.0.0.1:1"], "a load run needs the package gevent"),
        ("load", "numpy", ["tickbench", "load", "ws://127.0.0.1:1"], "the load test needs the package numpy"),
        (None, "click", ["tickbench", "doctor"], "tickbench needs the package click"),
        (None, "loadtests", ["tickbench", "load", "ws://127.0.0.1:1"], "loadtests is not installed"),
    ],
)
def test_what_needs_a_missing_package_says_so_in_one_line(
    extra: str | None, module: str, arguments: list[str], words: str
) -> None:
    done = run_without(module, "-m", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    assert "; " in done.stderr, "what would be right"
    assert re.findall(r"pip install 'tickbench\[(\w+)\]'", done.stderr) == ([extra] if extra else [])


def test_the_verbs_are_listed_whatever_one_of_them_lacks() -> None:
    done = run_without("plotly", "-m", "tickbench", "--help")
    assert done.returncode == 0, done.stderr
    assert "\n  serve " in done.stdout
    assert "needs the package plotly" in " ".join(done.stdout.split())


def test_a_missing_package_is_told_though_the_port_is_taken_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_without("geventwebsocket", "-m", "backends.gevent_server", "--port", port)
    assert "needs the package gevent-websocket" in done.stderr
