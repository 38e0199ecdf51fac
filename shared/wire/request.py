"""
Parses the heads of HTTP/1.x requests, as strictly as RFC 9112 and RFC 9110 let a server be.

What two parsers could read in two ways is refused, so that no proxy before us and no library behind us can take it for
something else: behind :mod:`shared.server.door` a library sees a request only as :meth:`Request.head` writes it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import NoReturn

from shared.wire.errors import InvariantError
from shared.wire.handshake import Refusal
from shared.wire.hosts import parse_host

READ_BYTES = 16_384
"""The most that a reader is fed at once."""
MAX_HEAD_BYTES = 16_384
"""Cookies of others that share our name may be large; HAProxy passes on 15 KiB, nginx 8 KiB a field."""
MAX_LINE_BYTES = 8_000
"""Of the request line (RFC 9112, section 3, asks for no less), and of a field that a library gets to see."""
MAX_FIELDS = 100
MAX_PORT = 65_535

PASSED_ON = {
    b"origin": b"Origin",
    b"sec-websocket-key": b"Sec-WebSocket-Key",
    b"sec-websocket-version": b"Sec-WebSocket-Version",
    b"sec-websocket-protocol": b"Sec-WebSocket-Protocol",
    b"sec-websocket-extensions": b"Sec-WebSocket-Extensions",
}
"""The fields that :meth:`Request.head` writes for the library, beside Host, Connection and Upgrade."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(%b) ([\x21-\x7e]+) HTTP/1\.([01])\r\n" % _TOKEN)
_METHOD = re.compile(rb"%b " % _TOKEN)
_FIELD = re.compile(rb"(%b):([\t\x20-\x7e\x80-\xff]*)\r\n" % _TOKEN)
_NO_TOKEN = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z\r-]")

_PATH = r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]++|%[0-9A-Fa-f]{2})*+"
_QUERY = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]++|%[0-9A-Fa-f]{2})*+"
_ORIGIN_FORM = re.compile(rf"({_PATH})(?:\?({_QUERY}))?")
_ABSOLUTE_FORM = re.compile(rf"(?i:https?)://([^/?]*)({_PATH})?(?:\?({_QUERY}))?")
_AUTHORITY = re.compile(r"([A-Za-z0-9_.-]+|\[[A-Za-z0-9:.%_~-]+\])(?::([0-9]{0,5}))?")

NO_METHOD = "a request begins with a method"
NO_REQUEST_LINE = "a request line is METHOD TARGET HTTP/1.1, with one space between, and CR LF"
NO_HOST = "a host is a name or an address, with or without a port"

_CODINGS = frozenset(("chunked", "compress", "deflate", "gzip", "x-compress", "x-gzip"))


class RequestError(Exception):
    """A request is answered with ``refusal``, and nothing that follows it can be read."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Request:
    """
    What a peer asks for; a field that came more than once has its values joined by commas (RFC 9110, section 5.3).

    ``path`` is as it was sent, or empty where the target has none (``OPTIONS *``, ``CONNECT``). ``host`` is that of the
    target, where it names one, else that of the Host field; an HTTP/1.0 request may be without.
    """

    method: str
    path: str
    query: str | None
    minor: int  # of its HTTP version
    host: str
    has_body: bool
    fields: Mapping[bytes, bytes]  # names in lower case

    @property
    def asks_to_upgrade(self) -> bool:
        """Whether it asks to become a WebSocket; HTTP/1.0 has no upgrades (RFC 9110, section 7.8)."""
        wants = self.minor > 0 and self.fields.get(b"upgrade", b"").lower() == b"websocket"
        return wants and b"upgrade" in self._connection()

    @property
    def expects(self) -> bool:
        """Whether it has an Expect field, which is ignored over HTTP/1.0 (RFC 9110, section 10.1.1)."""
        return self.minor > 0 and b"expect" in self.fields

    @property
    def closes(self) -> bool:
        """Whether its connection ends with its answer: nothing behind it is read (RFC 9112, section 9.6)."""
        return not self.minor or b"close" in self._connection()

    def head(self, path: str, *, is_upgrade: bool) -> bytes:
        """Return its head for ``path`` in a form that all libraries read alike: HTTP/1.1, only the fields they need."""
        target = path if self.query is None else f"{path}?{self.query}"
        lines = [f"{self.method} {target} HTTP/1.1\r\nHost: {self.host}".encode("ascii")]
        options = ([b"Upgrade"] if is_upgrade else []) + ([b"close"] if self.closes else [])
        if is_upgrade:
            lines.append(b"Upgrade: websocket")
        if options:
            lines.append(b"Connection: " + b", ".join(options))
        lines += [b"%b: %b" % (PASSED_ON[name], value) for name, value in self.fields.items() if name in PASSED_ON]
        return b"\r\n".join([*lines, b"", b""])

    def _connection(self) -> list[bytes]:
        return [option.strip(b" \t").lower() for option in self.fields.get(b"connection", b"").split(b",")]


class HeadReader:
    """
    Feed it what was read; take one request after the other.

    It keeps less than ``MAX_HEAD_BYTES + READ_BYTES`` if it is fed at most ``READ_BYTES`` at once, and only while it
    :attr:`has_room`. Its results depend on the bytes alone, however they were split.
    """

    __slots__ = ("_buffer", "_has_skipped", "_lines", "_scanned", "_start", "is_head")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = self._scanned = 0  # of the current line; up to where its end was looked for
        self._lines: list[bytes] = []  # of the request that has begun
        self._has_skipped = False  # an empty line before it
        self.is_head = False  # whether its method is HEAD, whose answer has no body

    @property
    def has_room(self) -> bool:
        """Whether it may be fed."""
        return len(self._buffer) < MAX_HEAD_BYTES

    @property
    def has_begun(self) -> bool:
        """Whether bytes of the next request have come."""
        return bool(self._buffer)

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """
        Take bytes as they came.

        Raises:
            InvariantError: they are more than it may be fed.

        """
        if not self.has_room or len(data) > READ_BYTES:
            raise InvariantError(f"{len(data)} bytes were read of a peer that has {len(self._buffer)} waiting")
        self._buffer += data

    def take_rest(self) -> bytes:
        """Remove and return the bytes behind the last request: they are of another protocol."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def next_request(self) -> Request | None:
        """
        Return the next request, or None until more bytes come.

        Raises:
            RequestError: it is malformed or too large; nothing more can be read.

        """
        buffer = self._buffer
        if not self._lines:
            self.is_head = False
        while buffer:
            if not self._lines and _NO_TOKEN.match(buffer, self._start):
                raise _fault(NO_METHOD)  # without waiting for the end of the line
            limit = MAX_HEAD_BYTES if self._lines else min(self._start + MAX_LINE_BYTES + 2, MAX_HEAD_BYTES)
            end = buffer.find(b"\n", self._scanned, limit) + 1
            if not end:
                if len(buffer) >= limit:
                    raise self._too_long()
                self._scanned = len(buffer)
                return None
            line = bytes(buffer[self._start : end])
            self._start = self._scanned = end
            if line == b"\r\n" and not self._lines:
                if self._has_skipped:
                    raise _fault(NO_METHOD)
                self._has_skipped = True
            elif line == b"\r\n":
                return self._finish()
            else:
                self._take_line(line)
        return None

    def _take_line(self, line: bytes) -> None:
        if self._lines:
            if len(self._lines) > MAX_FIELDS:
                raise _fault(f"a request has at most {MAX_FIELDS} fields", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            if not _FIELD.fullmatch(line):
                raise _fault("a field is NAME: VALUE on one line that ends with CR LF")
        else:
            match = _REQUEST_LINE.fullmatch(line)
            if not match:
                raise _fault(NO_REQUEST_LINE)
            self.is_head = match[1] == b"HEAD"
        self._lines.append(line)

    def _finish(self) -> Request:
        lines, self._lines = self._lines, []
        del self._buffer[: self._start]
        self._start = self._scanned = 0
        self._has_skipped = False
        return parse_request(lines)

    def _too_long(self) -> RequestError:
        if self._lines:
            return _fault(f"a request has at most {MAX_HEAD_BYTES} bytes", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not _METHOD.match(self._buffer, self._start, self._start + MAX_LINE_BYTES):
            return _fault(NO_REQUEST_LINE)
        return _fault(f"a request line has at most {MAX_LINE_BYTES} bytes", HTTPStatus.REQUEST_URI_TOO_LONG)


def _fault(text: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> RequestError:
    return RequestError(Refusal(status, text))


def parse_request(lines: list[bytes]) -> Request:
    """
    Build a request from its lines, each of which is well-formed.

    Raises:
        RequestError: they contradict one another, or the target or the host is invalid.

    """
    first = _REQUEST_LINE.fullmatch(lines[0])
    assert first  # noqa: S101 # the reader has checked
    method, target, minor = first[1].decode("ascii"), first[2].decode("ascii"), int(first[3])
    fields: dict[bytes, bytes] = {}
    repeated = set()
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t\r\n")
        if name in fields:
            repeated.add(name)
            fields[name] = (fields[name] + b", " + value).strip(b" ")
        else:
            fields[name] = value
    if b"host" in repeated or b"content-length" in repeated:
        raise _fault("a request has one Host, and no more than one Content-Length")
    for name in (b"host", *PASSED_ON):
        if len(fields.get(name, b"")) > MAX_LINE_BYTES:
            text = f"{name.decode('ascii')} has at most {MAX_LINE_BYTES} bytes"
            raise _fault(text, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    host = fields.get(b"host", b"").decode("latin-1")
    if minor or b"host" in fields:
        _check_authority(host)
    path, query, authority = _split_target(method, target)
    has_body = _declares_body(fields, minor)
    return Request(method, path, query, minor, authority or host, has_body, fields)


def _split_target(method: str, target: str) -> tuple[str, str | None, str]:
    """Return the path, query and authority of a target, which has one of the forms of RFC 9112, section 3.2."""
    if match := _ORIGIN_FORM.fullmatch(target):
        return (match[1], match[2], "") if method != "CONNECT" else _no_target()
    if method == "CONNECT":
        _, port = _check_authority(target)
        return ("", None, target) if port else _no_target()
    if method == "OPTIONS" and target == "*":
        return "", None, ""
    match = _ABSOLUTE_FORM.fullmatch(target) or _no_target()
    _check_authority(match[1])
    return match[2] or "/", match[3], match[1]


def _no_target() -> NoReturn:
    raise _fault("a request's target is a path, or a URL of http with one")


def _check_authority(text: str) -> tuple[str, str | None]:
    """Return the host and the port of an authority; raise RequestError if it is invalid."""
    match = _AUTHORITY.fullmatch(text)
    if not match or int(match[2] or 0) > MAX_PORT:
        raise _fault(NO_HOST)
    if match[1].startswith("["):
        try:
            parse_host(match[1])
        except ValueError:
            raise _fault(NO_HOST) from None
    return match[1], match[2]


def _declares_body(fields: Mapping[bytes, bytes], minor: int) -> bool:
    """Say whether a body follows; raise RequestError where its end is ambiguous (RFC 9112, section 6)."""
    length, transfer = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if length is not None and not length.isdigit():
        raise _fault("Content-Length is a number of bytes")
    if transfer is None:
        return length is not None and length.strip(b"0") != b""
    codings = [coding.strip(" \t") for coding in transfer.decode("latin-1").lower().split(",")]
    is_chunked_last = codings[-1] == "chunked" and "chunked" not in codings[:-1]
    if length is not None or not minor or not is_chunked_last or not _CODINGS.issuperset(codings):
        raise _fault("Transfer-Encoding is of HTTP/1.1, ends with chunked, and Content-Length excludes it")
    return True
