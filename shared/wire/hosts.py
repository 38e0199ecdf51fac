"""Parses the hosts of URLs, of Host headers and of ``--host``, and spells them for each of these. Resolves nothing."""

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

    In brackets it is read as in a URL, with ``%25`` before the zone (RFC 6874). Names are converted to IDNA.

    Raises:
        ValueError: it is no host; the message says why.

    """
    text = as_typed(text)
    is_bracketed = text.startswith("[") and text.endswith("]")
    if ":" in text:
        return _parse_address(text[1:-1], is_escaped=True) if is_bracketed else _parse_address(text)
    try:
        name = text.encode("idna").decode("ascii").lower()
    except UnicodeError:  # its message speaks of the codec only
        name = ""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} is no name or address of a host")
    return name


def lacks_zone(host: str) -> bool:
    """Whether a host is a link-local IPv6 address without its zone (the interface), which can't be reached."""
    return ":" in host and "%" not in host and ipaddress.IPv6Address(host).is_link_local


def is_loopback(host: str) -> bool:
    """Whether a host is a loopback address, or a name that stands for one (RFC 6761, section 6.3)."""
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
    Return the parsed host of a Host header, which may have a port.

    Raises:
        ValueError: it has no valid host.

    """
    name, has_port, port = authority.rpartition(":")
    host = parse_host(name if has_port and "]" not in port else authority)
    return host.removesuffix(".")


def url_host(host: str) -> str:
    """Return a parsed host as in a URL."""
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


def header_host(host: str) -> str:
    """Return a parsed host as in a Host header: without its zone, which only this machine knows (RFC 6874, 4)."""
    return url_host(host.partition("%")[0])


def _parse_address(text: str, *, is_escaped: bool = False) -> str:
    address, has_zone, zone = text.partition("%")
    if is_escaped and zone.startswith("25") and len(zone) > 2:  # a % without the 25 is common, too
        zone = unquote(zone[2:])
    try:
        compressed = ipaddress.IPv6Address(address).compressed
    except ValueError:
        raise ValueError(f"{text!r} is no IPv6 address") from None
    if has_zone and not _ZONE.fullmatch(zone):
        raise ValueError(f"{zone!r} is no name of an interface")
    return f"{compressed}%{zone}" if has_zone else compressed
