"""
Decides which upgrade requests are refused, and with which HTTP status, before a WebSocket exists.

Both servers ask here, so that they answer alike. Malformed requests end at the door (:mod:`shared.server.door`).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import SplitResult, parse_qs, urlsplit

from shared.wire.hosts import header_host, parse_host, url_host

ROOM_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes in base64
DEFAULT_ROOM = "main"
MAX_QUERY_LENGTH = 1024
"""A room's name with each character escaped takes 101; to parse a query of 8,000 would take two milliseconds."""
RETRY_AFTER_S = 2
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_PAGES = {"": ("http", "https"), "ws": ("http",), "wss": ("https",)}
"""What a page's scheme is that was written without one, or with that of its WebSocket."""
_LABELS = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer instead of an upgrade."""

    status: HTTPStatus
    text: str
    headers: tuple[tuple[str, str], ...] = ()


def busy(text: str) -> Refusal:
    """Return a refusal for now: 503 with Retry-After."""
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text, (("Retry-After", str(RETRY_AFTER_S)),))


def answer_bytes(refusal: Refusal, now_us: int | None = None, *, has_body: bool = True) -> bytes:
    """Return a refusal as an HTTP response, dated if ``now_us`` is given; ``has_body`` is False in answer to a HEAD."""
    body = f"{refusal.text}\n".encode()
    headers = [*refusal.headers, ("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    if now_us is not None:
        headers.append(("Date", formatdate(now_us / 1_000_000, usegmt=True)))
    lines = [f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}", *(": ".join(header) for header in headers)]
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("ascii")
    return head + body if has_body else head


def check_upgrade(headers: Mapping[str, str], origins: Collection[str] = ()) -> Refusal | None:
    """
    Return why a GET request that passed the door is refused, None if it is not; names of ``headers`` are in lower case.

    ``origins`` are allowed beside the server's own host; ``*`` allows all.
    """
    if headers.get("upgrade") != "websocket":  # the door passes it on only where the upgrade is complete
        return _upgrade_required("this is a WebSocket: Upgrade: websocket and Connection: Upgrade, over HTTP/1.1")
    if headers.get("sec-websocket-version") != "13":
        return _upgrade_required("WebSocket version 13 is spoken here")
    if not _KEY.fullmatch(headers.get("sec-websocket-key", "")):
        return Refusal(HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key must be 16 bytes in base64")
    if not origin_allowed(headers.get("origin"), headers.get("host", ""), origins):
        return Refusal(HTTPStatus.FORBIDDEN, "this origin is not allowed")
    return None


def room_name(query: str) -> str:
    """Return the room that a URL's query asks for, unchecked; an empty name where the query is too long to parse."""
    if len(query) > MAX_QUERY_LENGTH:
        return ""
    return parse_qs(query, keep_blank_values=True).get("room", [DEFAULT_ROOM])[0]


def check_room(name: str) -> Refusal | None:
    """Return why a room's name is refused, None if it is not."""
    if ROOM_NAME.fullmatch(name):
        return None
    return Refusal(HTTPStatus.NOT_FOUND, "a room's name is 1 to 32 of A-Z a-z 0-9 _ -")


def origin_allowed(origin: str | None, host: str, origins: Collection[str]) -> bool:
    """
    Whether a page from ``origin`` may connect: there is no origin, it is our own host, or one of ``origins``.

    These are as :func:`parse_origin` returns them.
    """
    if origin is None or "*" in origins or origin.lower() in origins:
        return True
    if any(_is_below(origin.lower(), allowed) for allowed in origins):
        return True
    try:
        page, ours = urlsplit(origin.lower()), urlsplit(f"//{host.lower()}")
        usual = _DEFAULT_PORTS.get(page.scheme)
        is_same_port = (page.port or usual) == (ours.port or usual)
        return bool(page.hostname) and is_same_port and _host(page) == _host(ours)
    except ValueError:  # an invalid port or address
        return False


def parse_origin(text: str) -> frozenset[str]:
    """
    Return the origins that a text allows, as browsers send them: ``http://name:port``, ``null``, or ``*`` for all.

    Without a scheme it is two, of http and of https. ``http://*.name`` stands for all names below that one.

    Raises:
        ValueError: it is no origin; the message says what would be right.

    """
    text = text.strip()
    if text.lower() in {"*", "null"}:
        return frozenset((text.lower(),))
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        name = "" if "@" in parts.netloc else parts.hostname or ""
        below, name = ("*.", name[2:]) if name.startswith("*.") else ("", name)
        host = below + url_host(parse_host(f"[{name}]" if "[" in parts.netloc else name))
        port = parts.port
    except ValueError:
        right = "http://HOST, http://HOST:PORT, https://*.HOST or *"
        raise ValueError(f"{text!r} is no origin; right would be {right}") from None
    schemes = _PAGES.get(parts.scheme, (parts.scheme,))
    origins = [f"{each}://{host}{'' if port in {None, _DEFAULT_PORTS.get(each)} else f':{port}'}" for each in schemes]
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(f"{text!r} is more than an origin; {origins[-1]} would be one")
    if parts.scheme in {"ws", "wss"}:
        raise ValueError(f"{text!r} is no origin of a page; {origins[-1]} would be one")
    return frozenset(origins)


def _is_below(origin: str, allowed: str) -> bool:
    """Whether an origin's name is one of those that ``http://*.name`` allows."""
    scheme, has_star, rest = allowed.partition("://*")
    start = f"{scheme}://"
    if not has_star or not origin.startswith(start) or not origin.endswith(rest):
        return False
    return bool(_LABELS.fullmatch(origin[len(start) : -len(rest)]))


def _host(parts: SplitResult) -> str:
    """Return the host of a page or of a Host header; an IPv6 address in its compressed form, without its zone."""
    name = parts.hostname or ""
    return header_host(parse_host(f"[{name}]")) if ":" in name else name


def _upgrade_required(text: str) -> Refusal:
    headers = (("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket"), ("Connection", "Upgrade"))
    return Refusal(HTTPStatus.UPGRADE_REQUIRED, text, headers)
