"""The host of a URL, of a Host header and of ``--host``, in one spelling each. Looks nothing up."""

import ipaddress
import re
from urllib.parse import unquote

_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
_ZONE = re.compile(r"[A-Za-z0-9._~-]{1,64}")


def as_typed(text: str) -> str:
    """Return a word of a command line as it was typed, in UTF-8, whatever the locale took it for (PEP 383)."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def parse_host(text: str) -> str:
    """
    Return a host as a resolver takes it: an address without brackets, its zone behind a ``%``; or a name in ASCII.

    In brackets it is as URLs have it, with ``%25`` before the zone (RFC 6874); browsers' names are in IDNA.

    Raises:
        ValueError: it is none; the message says why.

    """
    text = as_typed(text)
    is_bracketed = text.startswith("[") and text.endswith("]")
    if ":" in text:
        return _parse_address(text[1:-1], is_escaped=True) if is_bracketed else _parse_address(text)
    try:
        name = text.encode("idna").decode("ascii").lower()
    except UnicodeError:  # which names the codec, and that tells nobody anything
        name = ""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} is no name or address of a host")
    return name


def lacks_zone(host: str) -> bool:
    """Whether a host is an address that every interface may have, so that it leads nowhere without one's name."""
    return ":" in host and "%" not in host and ipaddress.IPv6Address(host).is_link_local


def is_loopback(host: str) -> bool:
    """Whether a host is this machine to itself (RFC 6761, section 6.3): an address, or a name that resolves to one."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def authority_host(authority: str) -> str:
    """
    Return the host of a Host header, parsed, with or without its port.

    Raises:
        ValueError: it is none.

    """
    name, has_port, port = authority.rpartition(":")
    host = parse_host(name if has_port and "]" not in port else authority)
    return host.removesuffix(".")


def url_host(host: str) -> str:
    """Return a parsed host as URLs have it."""
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


def header_host(host: str) -> str:
    """Return a parsed host as a Host header has it: whose interface is meant is nobody else's concern (RFC 6874, 4)."""
    return url_host(host.partition("%")[0])


def _parse_address(text: str, *, is_escaped: bool = False) -> str:
    address, has_zone, zone = text.partition("%")
    if is_escaped and zone.startswith("25") and len(zone) > 2:  # a bare % is common, too
        zone = unquote(zone[2:])
    try:
        compressed = ipaddress.IPv6Address(address).compressed
    except ValueError:
        raise ValueError(f"{text!r} is no IPv6 address") from None
    if has_zone and not _ZONE.fullmatch(zone):
        raise ValueError(f"{zone!r} is no name of an interface")
    return f"{compressed}%{zone}" if has_zone else compressed
