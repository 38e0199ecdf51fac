"""Parses the URL of the WebSocket that a client is to connect to, and the headers that it sends along."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode, urlsplit

from shared.wire.handshake import DEFAULT_ROOM, ROOM_NAME
from shared.wire.hosts import as_typed, header_host, lacks_zone, parse_host, url_host

DEFAULT_PATH = "/connect"
AUTHORIZATION = "Authorization"

Header = tuple[str, str]
"""Name and value of a header, as they are sent."""

_SCHEMES = {"ws": False, "http": False, "wss": True, "https": True}
"""Whether TLS is spoken, by scheme."""
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?")
_OF_THE_HANDSHAKE = re.compile(
    r"host|upgrade|connection|content-length|transfer-encoding|sec-websocket-(?!protocol$).*"
)
"""Headers that the handshake itself decides on (RFC 6455, 4.1), or that would announce a body."""


@dataclass(frozen=True, slots=True)
class Target:
    """A WebSocket endpoint, and the server that it belongs to."""

    host: str
    """A name in ASCII or an address, as a resolver takes it."""
    port: int
    path: str
    query: str = ""
    secure: bool = False
    """Whether TLS is spoken to it."""
    verifies: bool = True
    """Whether its certificate has to be one that is trusted, where TLS is spoken."""
    headers: tuple[Header, ...] = field(default=(), repr=False)
    """What each request has beside the headers of the handshake. They may hold secrets: they are shown nowhere."""

    @property
    def authority(self) -> str:
        """Host and port, as in a Host header: without the port where it is the scheme's own."""
        host = header_host(self.host)
        return host if self.port == _default_port(secure=self.secure) else f"{host}:{self.port}"

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
        """The endpoint as a ws:// or wss:// URL; it has no user and no password, so it may be shown."""
        return f"{'wss' if self.secure else 'ws'}://{self.place}{self.resource}"

    @property
    def room(self) -> str:
        """The room that a connection to this endpoint is in."""
        return dict(parse_qsl(self.query)).get("room", DEFAULT_ROOM)

    def in_room(self, room: str) -> Target:
        """Return the same endpoint with another room."""
        others = [(key, value) for key, value in parse_qsl(self.query) if key != "room"]
        return replace(self, query=urlencode([*others, ("room", room)]))

    def beside(self, name: str) -> str:
        """Return the path of another resource of the same server: ``/game/stats`` beside ``/game/connect``."""
        return f"{self.path.rpartition('/')[0]}/{name}"

    def with_headers(self, headers: tuple[Header, ...]) -> Target:
        """
        Return the same endpoint with more headers.

        Raises:
            ValueError: the user and the password would be there twice.

        """
        together = (*self.headers, *headers)
        if sum(name.lower() == AUTHORIZATION.lower() for name, _ in together) > 1:
            raise ValueError(f"{self.url}: the user and the password, or {AUTHORIZATION}, are given twice")
        return replace(self, headers=together)

    @property
    def fields(self) -> dict[str, str]:
        """The headers by name, for libraries that take each once: what came more often is a list (RFC 9110, 5.3)."""
        fields: dict[str, str] = {}
        for name, value in self.headers:
            known = next((each for each in fields if each.lower() == name.lower()), name)
            between = "; " if name.lower() == "cookie" else ", "
            fields[known] = f"{fields[known]}{between}{value}" if known in fields else value
        return fields

    def request(self, resource: str, *lines: str) -> bytes:
        """Return the head of a GET request for ``resource``, with ``lines`` of headers and our own."""
        own = (f"{name}: {value}" for name, value in self.headers)
        words = (f"GET {resource} HTTP/1.1", f"Host: {self.authority}", *lines, *own)
        return "".join(f"{line}\r\n" for line in (*words, "")).encode("ascii")


def parse_target(url: str) -> Target:
    """
    Return the endpoint that ``url`` names; ``http`` means the same as ``ws``, no path means ``/connect``.

    A user and a password become a header.

    Raises:
        ValueError: it is no such URL; the message says what would be right, and shows no password.

    """
    right = "right would be ws://HOST:PORT or wss://HOST:PORT"
    url = as_typed(url)
    shown = printable_url(url)
    try:
        parts = urlsplit(url)
        port = _default_port(secure=_SCHEMES.get(parts.scheme, False)) if parts.port is None else parts.port
    except ValueError as error:  # its words may be part of a password
        raise ValueError(f"{shown}: no host, or a bad port; {right}") from error
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"{shown}: not a WebSocket URL; {right}")
    if not parts.hostname or not 1 <= port <= 65535 or re.search(r"[\s\x00-\x20\x7f]", url):
        raise ValueError(f"{shown}: no host, or a bad port or character; {right}")
    if parts.fragment:
        raise ValueError(f"{shown}: what stands behind # is not sent to a server; leave it out of the URL")
    target = Target(
        _host(parts.hostname, shown, right, is_address="[" in parts.netloc),
        port,
        DEFAULT_PATH if parts.path in {"", "/"} else _in_ascii(parts.path),
        _in_ascii(parts.query),
        secure=_SCHEMES[parts.scheme],
        headers=_login(parts.username, parts.password, shown),
    )
    if not ROOM_NAME.fullmatch(target.room):
        raise ValueError(f"{shown}: {target.room!r} is no room; a room's name is 1 to 32 of A-Za-z0-9_-")
    return target


def without_login(url: str) -> str:
    """Return a URL without a user and a password: what stands before an ``@`` of its authority (RFC 3986, 3.2)."""
    before, slashes, behind = url.partition("//")
    authority = re.match(r"[^/?#]*", behind)[0]  # type: ignore[index] # it always matches
    return f"{before}{slashes}{authority.rpartition('@')[2]}{behind[len(authority) :]}"


def printable_url(url: str) -> str:
    """Return a URL, which may be wrong, without what may be a password: everything before its last ``@``."""
    return re.sub(r"//.*@", "//", url, flags=re.DOTALL)


def parse_header(text: str) -> Header:
    """
    Return the header that ``Name: value`` names.

    Raises:
        ValueError: it can't be sent, or is not for the user to say; the message shows no value.

    """
    name, colon, value = as_typed(text).partition(":")
    value = value.strip(" \t")
    if not colon or not _TOKEN.fullmatch(name):
        raise ValueError("no header; right would be 'Name: value'")
    if _OF_THE_HANDSHAKE.fullmatch(name.lower()):
        raise ValueError(f"{name}: the handshake says it itself; leave it out")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"{name}: no value, or one with control characters or beyond ASCII")
    return name, value


def _default_port(*, secure: bool) -> int:
    return 443 if secure else 80


def _login(user: str | None, password: str | None, shown: str) -> tuple[Header, ...]:
    """Return the header that says who we are (RFC 7617), if the URL does."""
    if user is None:
        return ()
    name, word = unquote_to_bytes(user), unquote_to_bytes(password or "")
    if b":" in name or re.search(rb"[\x00-\x1f\x7f]", name + word):
        raise ValueError(f"{shown}: a user with a colon, or with control characters, can't be sent; leave them out")
    return ((AUTHORIZATION, f"Basic {base64.b64encode(name + b':' + word).decode('ascii')}"),)


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
