"""A relay for each test, and servers that have rooms in common through it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.relays import Relay
from tests.support.server import RunningServer, run_server

BACKENDS = ("asyncio", "gevent")
EVERY_RELAY = pytest.mark.parametrize(
    ("relay", "backend"),
    [("unix", "asyncio"), ("redis", "gevent"), ("zmq+tcp", "asyncio"), ("zmq+ipc", "gevent")],
    indirect=True,
)
FLAGS = ("--tick-rate", "20", "--tick-budget", "0", "--seed", "7")

Start = Callable[..., RunningServer]


@pytest.fixture(params=["unix"])
def relay(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Relay]:
    it = Relay(request.param, tmp_path)
    it.start()
    yield it
    it.kill()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def other(backend: str) -> str:
    """Return the other backend: what goes between the processes is the same."""
    return BACKENDS[backend == BACKENDS[0]]


@pytest.fixture
def start(relay: Relay) -> Iterator[Start]:
    """``start(backend, "--flag", ...)``: a server that has its rooms with others."""
    with ExitStack() as stack:

        def start_server(backend: str, *flags: str, logs: bool = False) -> RunningServer:
            mine = flags if "--tick-rate" in flags else (*FLAGS, *flags)
            return stack.enter_context(run_server(backend, *mine, "--relay", relay.url, logs=logs))

        yield start_server
