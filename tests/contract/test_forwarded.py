"""Whom a connection counts for that a proxy handed on: ``X-Forwarded-For``, of trusted proxies alone."""

import pytest

from tests.conftest import Serve
from tests.contract.test_hosts import IPV6_HOSTS
from tests.support.client import request_bytes, upgrade_headers
from tests.support.server import RunningServer

pytestmark = pytest.mark.differs()

ONE_EACH = ("--max-per-address", "1", "--tick-budget", "0")


def knock(server: RunningServer, *forwarded: str) -> int:
    """Ask for an upgrade, with these fields of the proxies; keep the connection, and return the status."""
    player = server.keep_alive()
    fields = "".join(f"X-Forwarded-For: {each}\r\n" for each in forwarded).encode("latin-1")
    player.send_raw(request_bytes("GET", "/connect", upgrade_headers({}))[:-2] + fields + b"\r\n")
    return player.read_response().status


def test_nobody_is_believed_by_default(serve: Serve) -> None:
    with serve(*ONE_EACH) as server:
        assert knock(server, "192.0.2.1") == 101
        assert knock(server, "192.0.2.2") == 503


def test_a_peer_that_is_no_trusted_proxy_is_not_believed(serve: Serve) -> None:
    with serve(*ONE_EACH, "--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "::1") as server:
        assert knock(server, "192.0.2.1") == 101
        assert knock(server, "192.0.2.2") == 503


def test_each_address_that_a_trusted_proxy_tells_counts_for_itself(serve: Serve) -> None:
    with serve(*ONE_EACH, "--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "10.0.0.0/8") as server:
        assert knock(server, "192.0.2.1") == 101
        assert knock(server, "192.0.2.2") == 101
        assert knock(server, "192.0.2.2:4711") == 503
        assert knock(server, "198.51.100.1, 192.0.2.1") == 503, "what a client says of itself is not believed"
        assert knock(server, "198.51.100.2", "192.0.2.1, 10.0.0.9", "10.0.0.8") == 503, "many lines are one list"
        assert knock(server, "[2001:db8::1]:443") == 101
        assert knock(server, "2001:DB8:0::1") == 503
        assert knock(server) == 101, "the proxy's own"
        assert knock(server, "unknown") == 503, "what is no address counts for the proxy"


@pytest.mark.parametrize("host", IPV6_HOSTS[:1])
def test_a_proxy_that_comes_over_ipv4_to_an_address_of_ipv6_is_the_same(serve: Serve, host: str) -> None:
    with serve(*ONE_EACH, "--trusted-proxy", "127.0.0.1", "--host", host) as server:
        assert knock(server, "192.0.2.1") == 101
        assert knock(server, "::ffff:192.0.2.1") == 503
        assert knock(server, "192.0.2.2") == 101


def test_who_leaves_makes_room_for_the_same_address(serve: Serve) -> None:
    with serve(*ONE_EACH, "--trusted-proxy", "127.0.0.1") as server:
        assert knock(server, "192.0.2.1") == 101
        server.settle()
        assert knock(server, "192.0.2.1") == 101
