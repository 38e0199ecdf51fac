"""A server listens at the first address of its host that this machine has."""

import signal
import socket

import pytest

from shared.system.listener import families, listen, stop_signals
from tests.contract.test_hosts import has_address


def test_of_several_addresses_the_first_that_is_here_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with an address of another machine (RFC 5737) before that of this one."""
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with listen("several.example", 0, 1) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_it_and_its_connections_know_that_they_are_tcp() -> None:
    """Or asyncio would leave Nagle's algorithm on."""
    with listen("127.0.0.1", 0, 1) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert (listener.proto, accepted.proto) == (socket.IPPROTO_TCP, socket.IPPROTO_TCP)


def test_an_address_that_is_taken_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.1", "127.0.0.2")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with pytest.raises(OSError, match="in use"):
            listen("localhost", port, 1)


@pytest.mark.parametrize(("is_both", "words"), [(True, "IPv6 and IPv4"), (False, "IPv6 only")])
def test_what_listens_at_all_of_ipv6_says_whether_that_is_ipv4_too(
    monkeypatch: pytest.MonkeyPatch, words: str, *, is_both: bool
) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: is_both)
    for host, said in (("::", words), ("::1", ""), ("127.0.0.1", ""), ("0.0.0.0", "")):  # noqa: S104 # it is the case
        if ":" not in host or has_address("::1"):
            with listen(host, 0, 1) as listener:
                assert families(listener) == said


def test_the_end_of_its_terminal_stops_a_server_but_not_under_nohup(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stop_signals() == [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_IGN)
    assert stop_signals() == [signal.SIGTERM, signal.SIGINT]
