"""Nagle's algorithm is on only where `/stats` says that a framework's own default is in force, and that it is on."""

import socket

import pytest

from shared.server.frameworks import framework_of
from tests.conftest import Arm, Serve
from tests.support.foreign_sockets import option_of
from tests.support.server import RunningServer

NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY)


def is_on(server: RunningServer) -> bool:
    player = server.enter("nagle")
    player.next_tick()
    return not option_of(server.process.pid, player.sock, *NO_DELAY)


@pytest.mark.framework
@pytest.mark.modes("managed")
def test_naive_has_it_where_the_framework_leaves_it_on(serve: Serve, arm: Arm) -> None:
    with serve("--fanout", "naive", "--clock", "loop") as server:
        expected = framework_of(arm.backend, arm.framework).naive["nagle"]
        assert (server.stats()["in_force"]["nagle"], is_on(server)) == (expected, expected)


@pytest.mark.framework
@pytest.mark.modes("managed")
@pytest.mark.parametrize("fanout", ["frame-once", "library"])
def test_the_others_have_it_nowhere(serve: Serve, fanout: str) -> None:
    with serve("--fanout", fanout) as server:
        assert not is_on(server)
