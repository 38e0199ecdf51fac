"""Parses the URL of the WebSocket that a client is to connect to."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from shared.wire.handshake import DEFAULT_ROOM, ROOM_NAME
from shared.wire.hosts import as_typed, header_host, lacks_zone, parse_host, url_host

DEFAULT_PATH = "/connect"


@dataclass(frozen=True, slots=True)
class Target:
    """A WebSocket endpoint, and the server that it belongs to."""

    host: str
    """A name in ASCII or an address, as a resolver takes it."""
    port: int
    path: str
    query: str = ""

    @property
    def authority(self) -> str:
        """Host and port, as in a Host header."""
        return f"{header_host(self.host)}:{self.port}"

    @property
    def place(self) -> str:
        """Host and port, as in a URL: with the zone (the interface) of a link-local address."""
        return f"{url_host(self.host)}:{self.port}"

    @property
    def resource(self) -> str:
        """Path and query, as in a request line."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def url(self) -> str:
        """The endpoint as a ws:// URL."""
        return f"ws://{self.place}{self.resource}"

    @property
    def room(self) -> str:
        """The room that a connection to this endpoint is in."""
        return dict(parse_qsl(self.query)).get("room", DEFAULT_ROOM)

    def in_room(self, room: str) -> Target:
        """Return the same endpoint with another room."""
        others = [(key, value) for key, value in parse_qsl(self.query) if key != "room"]
        return replace(self, query=urlencode([*others, ("room", room)]))


def parse_target(url: str) -> Target:
    """
    Return the endpoint that ``url`` names; ``http://`` and ``ws://`` mean the same, no path means ``/connect``.

    Raises:
        ValueError: it is no such URL; the message says what would be right.

    """
    right = "right would be ws://HOST:PORT or http://HOST:PORT"
    url = as_typed(url)
    shown = re.sub(r"//[^/?#]*@", "//", url)  # a password is not for a terminal
    try:
        parts = urlsplit(url)
        port = 80 if parts.port is None else parts.port
    except ValueError as error:
        raise ValueError(f"{shown}: {error}; {right}") from error
    if parts.scheme in {"wss", "https"}:
        raise ValueError(f"{shown}: TLS is not supported, bare sockets are timed; {right}")
    if parts.scheme not in {"ws", "http"}:
        raise ValueError(f"{shown}: not a WebSocket URL; {right}")
    if not parts.hostname or not 1 <= port <= 65535 or re.search(r"[\s\x00-\x20\x7f]", url):
        raise ValueError(f"{shown}: no host, or a bad port or character; {right}")
    if "@" in parts.netloc:
        raise ValueError(f"{shown}: a user and a password are not sent to a server; leave them out of the URL")
    if parts.fragment:
        raise ValueError(f"{shown}: what stands behind # is not sent to a server; leave it out of the URL")
    path = DEFAULT_PATH if parts.path in {"", "/"} else _in_ascii(parts.path)
    target = Target(
        _host(parts.hostname, shown, right, is_address="[" in parts.netloc), port, path, _in_ascii(parts.query)
    )
    if not ROOM_NAME.fullmatch(target.room):
        raise ValueError(f"{shown}: {target.room!r} is no room; a room's name is 1 to 32 of A-Za-z0-9_-")
    return target


def _host(text: str, shown: str, right: str, *, is_address: bool) -> str:
    try:
        host = parse_host(f"[{text}]" if is_address else text)
    except ValueError as error:
        raise ValueError(f"{shown}: {error}; {right}") from error
    if lacks_zone(host):
        raise ValueError(f"{shown}: {host} is link-local; name the interface, such as [{host}%25eth0]")
    return host


def _in_ascii(text: str) -> str:
    """Return a part of a URL as it is sent: what is not ASCII is percent-encoded UTF-8 (RFC 3987, section 3.1)."""
    return re.sub(r"[^\x21-\x7e]+", lambda match: quote(match[0]), text)
