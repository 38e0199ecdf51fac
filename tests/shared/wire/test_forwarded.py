"""Whom ``X-Forwarded-For`` is believed, and what of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.forwarded import MAX_PROXIES, client_address, parse_network

TRUSTED = [parse_network(text) for text in ("10.0.0.0/8", "fd00::/8", "127.0.0.1")]
PROXY = "10.0.0.1"

LISTS = {
    "nothing": ("", PROXY),
    "one address": ("192.0.2.1", "192.0.2.1"),
    "what the client sent itself": ("198.51.100.7, 192.0.2.1", "192.0.2.1"),
    "two proxies": ("192.0.2.1, 10.0.0.2", "192.0.2.1"),
    "a proxy that is not ours": ("192.0.2.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
    "a client that lies about a proxy": ("10.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
    "proxies alone": ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
    "no white space": ("198.51.100.7,192.0.2.1", "192.0.2.1"),
    "much white space": (" \t192.0.2.1\t ,\t10.0.0.2 ", "192.0.2.1"),
    "empty elements": (", 192.0.2.1, ,10.0.0.2,", "192.0.2.1"),
    "a port": ("192.0.2.1:4711", "192.0.2.1"),
    "an address of IPv6": ("2001:db8::1", "2001:db8::1"),
    "an address of IPv6, written at length": ("2001:0DB8:0:0:0:0:0:1", "2001:db8::1"),
    "an address of IPv6 in brackets": ("[2001:db8::1]", "2001:db8::1"),
    "an address of IPv6 with a port": ("[2001:db8::1]:4711, [fd00::7]:80", "2001:db8::1"),
    "an address of IPv6 in quotes": ('"[2001:db8::1]:4711"', "2001:db8::1"),
    "an address of IPv4 as one of IPv6": ("::ffff:192.0.2.1, ::ffff:10.0.0.2", "192.0.2.1"),
    "a name": ("192.0.2.1, game.example", PROXY),
    "a name before a proxy": ("192.0.2.1, game.example, 10.0.0.2", "10.0.0.2"),
    "nobody knows": ("unknown", PROXY),
    "an address that is none": ("192.0.2.256", PROXY),
    "octal digits": ("010.0.0.2", PROXY),
    "a number": ("3221225985", PROXY),
    "a port that is none": ("192.0.2.1:http", PROXY),
    "half a bracket": ("[2001:db8::1", PROXY),
    "another list": ("192.0.2.1 10.0.0.2", PROXY),
    "bytes that are not ASCII": ("192.0.2.\u00b2", PROXY),
}


@pytest.mark.parametrize("name", LISTS)
def test_it_is_the_last_that_no_proxy_of_ours_has(name: str) -> None:
    forwarded, address = LISTS[name]
    assert client_address(PROXY, forwarded, TRUSTED) == address


@pytest.mark.parametrize("peer", ["192.0.2.9", "11.0.0.1", "::1", "fe80::1", "127.0.0.2", "::ffff:192.0.2.9"])
def test_of_a_peer_that_is_not_trusted_nothing_counts(peer: str) -> None:
    assert client_address(peer, "198.51.100.7", TRUSTED) == peer.removeprefix("::ffff:")


@pytest.mark.parametrize("peer", ["10.255.0.1", "fd12::1", "127.0.0.1", "::ffff:10.0.0.1"])
def test_a_peer_within_a_network_is_trusted(peer: str) -> None:
    assert client_address(peer, "192.0.2.1", TRUSTED) == "192.0.2.1"
    assert client_address(peer, "192.0.2.1", ()) == peer.removeprefix("::ffff:")


def test_a_link_local_peer_keeps_its_interface() -> None:
    assert client_address("fe80::1%eth0", "192.0.2.1", ()) == "fe80::1%eth0"
    assert client_address("fe80::1%eth0", "192.0.2.1", [parse_network("fe80::/10")]) == "192.0.2.1"


def test_a_peer_without_an_address_is_no_proxy() -> None:
    assert client_address("", "192.0.2.1", [parse_network("0.0.0.0/0"), parse_network("::/0")]) == ""


def test_a_list_is_looked_at_so_far() -> None:
    proxies = [f"10.1.0.{number}" for number in range(MAX_PROXIES)]
    assert client_address(PROXY, ", ".join(["192.0.2.1", *proxies[1:]]), TRUSTED) == "192.0.2.1"
    assert client_address(PROXY, ", ".join(["192.0.2.1", *proxies]), TRUSTED) == "10.1.0.0"


@given(st.text(max_size=100), st.text(alphabet='0123456789abf:.,[]" %', max_size=60))
def test_whatever_stands_there_no_peer_raises(peer: str, forwarded: str) -> None:
    for who in (peer, PROXY):
        assert isinstance(client_address(who, forwarded, TRUSTED), str)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        (" 192.0.2.1 ", "192.0.2.1/32"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("FD00::/8", "fd00::/8"),
        ("::1", "::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_is_of_either_family(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("", "10.0.0.0/8"),
        ("proxy.example", "10.0.0.0/8"),
        ("10.0.0.0/33", "10.0.0.0/8"),
        ("10.0.0/8", "10.0.0.0/8"),
        ("10.0.0.7/8", "right would be 10.0.0.7 or 10.0.0.0/8"),
        ("fd00::7/8", "right would be fd00::7 or fd00::/8"),
    ],
)
def test_what_is_no_network_is_told_what_would_be(text: str, right: str) -> None:
    with pytest.raises(ValueError, match=right):
        parse_network(text)
