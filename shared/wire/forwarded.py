"""
Says from which address a request comes that proxies handed on: which of ``X-Forwarded-For`` is to be believed.

Anybody may send that field. Each proxy adds the address that it was asked from at the end of the list, so the last one
is true if the peer is a proxy of ours, the one before it if the last one is a proxy of ours, too, and so on.
"""

import ipaddress
import re
from collections.abc import Collection
from contextlib import suppress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_PROXIES = 32
"""Of a list no more are looked at: it may have thousands, and each takes some microseconds."""

_WITH_PORT = re.compile(r"(?:\[(.+)\]|([^:]+))(?::[0-9]{1,5})?")
"""An address as some proxies write it, with a port behind it; one of IPv6 is in brackets then."""


def parse_network(text: str) -> Network:
    """
    Return a network of proxies; an address alone is one, too.

    Raises:
        ValueError: it is no network; the message says what would be right.

    """
    try:
        address = ipaddress.ip_interface(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no network; right would be 10.0.0.0/8, fd00::/8 or 127.0.0.1") from None
    network = address.network
    if address.ip != network.network_address:
        raise ValueError(f"{text!r} is an address within a network; right would be {address.ip} or {network}")
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network((mapped, network.prefixlen - 96)) if mapped else network
    return network


def is_trusted(peer: str, trusted: Collection[Network]) -> bool:
    """Whether a peer is one of the proxies."""
    address = _parse(peer) if trusted else None
    return address is not None and _is_within(address, trusted)


def client_address(peer: str, forwarded: str, trusted: Collection[Network]) -> str:
    """
    Return the address that a request comes from: its ``peer``, or whom proxies that are ``trusted`` have it from.

    The list of addresses is gone through from its end, past those that are trusted, to the first one that is not. What
    is no address ends the list: then it is the last one before that.
    """
    address = _parse(peer)
    if address is None:
        return peer
    for text in reversed(forwarded.rsplit(",", MAX_PROXIES)[-MAX_PROXIES:]):
        if not _is_within(address, trusted):
            break
        if not (entry := text.strip(" \t")):
            continue  # an empty element means nothing (RFC 9110, section 5.6.1)
        match = _WITH_PORT.fullmatch(entry.strip('"'))
        before = _parse((match[1] or match[2]) if match else entry)
        if before is None:
            break
        address = before
    return str(address)


def _is_within(address: Address, networks: Collection[Network]) -> bool:
    return any(address in network for network in networks)


def _parse(text: str) -> Address | None:
    """Return an address; one of IPv4 that came in a form of IPv6 (``::ffff:192.0.2.1``) is one of IPv4."""
    with suppress(ValueError):
        address = ipaddress.ip_address(text)
        return getattr(address, "ipv4_mapped", None) or address
    return None
