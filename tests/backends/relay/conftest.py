"""Relays that are there for all tests, one process of each backend, and buses that are closed behind each test."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.relays import EVERY, Peer, PeerBus, Relay


@pytest.fixture(scope="session")
def peers() -> Iterator[dict[str, Peer]]:
    with ExitStack() as stack:
        they = {backend: Peer(backend) for backend in ("asyncio", "gevent")}
        for peer in they.values():
            stack.callback(peer.end)
        yield they


@pytest.fixture(scope="session", params=EVERY)
def scheme(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def relay(scheme: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    it = Relay(scheme, tmp_path_factory.mktemp("relay"))
    it.start()
    yield it
    it.kill()


class Buses:
    """Opens buses: of the backend that is tested, and far ones, of the other where a relay reaches it."""

    def __init__(self, peers: dict[str, Peer], backend: str, scheme: str, stack: ExitStack) -> None:
        other = next(each for each in peers if each != backend)
        self.near_peer, self.far_peer = peers[backend], peers[backend if scheme == "memory" else other]
        self._stack = stack

    def near(self, relay: Relay) -> PeerBus:
        return self._open(self.near_peer, relay)

    def far(self, relay: Relay) -> PeerBus:
        return self._open(self.far_peer, relay)

    def _open(self, peer: Peer, relay: Relay) -> PeerBus:
        bus = peer.bus(relay.url)
        self._stack.callback(bus.close)
        return bus


@pytest.fixture(params=["asyncio", "gevent"])
def buses(request: pytest.FixtureRequest, peers: dict[str, Peer], scheme: str) -> Iterator[Buses]:
    with ExitStack() as stack:
        yield Buses(peers, request.param, scheme, stack)


@pytest.fixture
def own_relay(scheme: str, tmp_path: Path) -> Iterator[Relay]:
    """One that a test may kill."""
    it = Relay(scheme, tmp_path)
    it.start()
    yield it
    it.kill()
