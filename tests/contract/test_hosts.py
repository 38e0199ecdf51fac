"""A server listens where it is told to, on either family, and its ready line leads there."""

import http.client
import socket
from contextlib import suppress

import pytest

from backends.asyncio_server import server as on_asyncio
from backends.gevent_server import server as on_gevent
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
        for address in ("127.0.0.1", "::1"):
            connection = http.client.HTTPConnection(address, parse_target(server.url).port, timeout=5)
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
            connection.close()


def test_of_several_addresses_the_first_that_is_here_is_taken(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with an address of another machine (RFC 5737) before that of this one."""
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    listen = {"asyncio": on_asyncio.listen, "gevent": on_gevent.listen}[backend]
    with listen("several.example", 0, 1) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_an_address_that_is_taken_is_not_passed_over(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listen = {"asyncio": on_asyncio.listen, "gevent": on_gevent.listen}[backend]
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.1", "127.0.0.2")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with pytest.raises(OSError, match="in use"):
            listen("localhost", port, 1)
