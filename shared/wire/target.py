"""Where a client goes: the address in a URL. Opens nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode, urlsplit

from shared.wire.handshake import DEFAULT_ROOM, ROOM_NAME

DEFAULT_PATH = "/connect"


@dataclass(frozen=True, slots=True)
class Target:
    """A WebSocket endpoint, and the server that it belongs to."""

    host: str
    port: int
    path: str
    query: str = ""

    @property
    def authority(self) -> str:
        """Host and port, as in a Host header."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def resource(self) -> str:
        """Path and query, as in a request line."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def url(self) -> str:
        """The endpoint as a ws:// URL."""
        return f"ws://{self.authority}{self.resource}"

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
    try:
        parts = urlsplit(url)
        port = 80 if parts.port is None else parts.port
    except ValueError as error:
        raise ValueError(f"{url}: {error}; {right}") from error
    if parts.scheme in {"wss", "https"}:
        raise ValueError(f"{url}: TLS is not supported, bare sockets are timed; {right}")
    if parts.scheme not in {"ws", "http"}:
        raise ValueError(f"{url}: not a WebSocket URL; {right}")
    if not parts.hostname or not 1 <= port <= 65535 or re.search(r"[\s\x00-\x20\x7f]", url):
        raise ValueError(f"{url}: no host, or a bad port or character; {right}")
    path = DEFAULT_PATH if parts.path in {"", "/"} else parts.path
    target = Target(parts.hostname, port, path, parts.query)
    if not ROOM_NAME.fullmatch(target.room):
        raise ValueError(f"{url}: {target.room!r} is no room; a room's name is 1 to 32 of A-Za-z0-9_-")
    return target
