"""A server listens where it is told to, on either family, and its ready line leads there."""

import http.client
import socket
from contextlib import suppress

import pytest

from shared.wire.target import parse_target
from tests.conftest import Serve
from tests.support.client import Client

pytestmark = pytest.mark.differs()


def has_address(host: str) -> bool:
    with suppress(OSError), socket.create_server((host, 0), family=socket.AF_INET6):
        return True
    return False


IPV6_HOSTS = ["::", "[::1]", "::1%1"] if has_address("::1") else []


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", *IPV6_HOSTS])  # noqa: S104 # it is the case
def test_the_ready_line_leads_to_the_server(serve: Serve, host: str) -> None:
    with serve("--host", host) as server:
        target = parse_target(server.url)
        own = {"Host": target.authority, "Origin": f"http://{target.authority}"}
        with Client(socket.create_connection((target.host, target.port), 5)) as client:
            assert client.upgrade("/connect", own).status == 101, "the page that it serves is let in"


@pytest.mark.parametrize("host", IPV6_HOSTS[:1])
def test_all_of_ipv6_is_all_of_ipv4_too(serve: Serve, host: str) -> None:
    with serve("--host", host) as server:
        assert server.ready_line.endswith(f"http://[::]:{server.address[1]} (IPv6 and IPv4)")
        for address in ("127.0.0.1", "::1"):
            connection = http.client.HTTPConnection(address, parse_target(server.url).port, timeout=5)
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
            connection.close()
