"""
The bytes of the planted server: frames right and wrong, handshakes right and wrong. Knows nothing of sockets.

It shares no code with the generator: what it believes of RFC 6455 it believes by itself.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MIB = 1024 * 1024


class Tick(NamedTuple):
    """A tick as a room is told of it: the times are what the server states, true or not."""

    room: int
    n: int
    due_us: int
    sent_us: int


def frame(payload: bytes, first: int = 0x80 | TEXT) -> bytes:
    """Return a frame as servers send it: not masked."""
    return header(len(payload), first) + payload


def header(length: int, first: int = 0x80 | TEXT) -> bytes:
    if length < 126:
        return bytes((first, length))
    if length < 65536:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


def close_frame(code: int) -> bytes:
    return frame(code.to_bytes(2, "big"), 0x80 | CLOSE)


def tick_text(tick: Tick, pad_bytes: int, *, space: str = "", size: int = 0) -> bytes:
    """Return the text of a tick frame; ``size`` pads it to so many bytes in all."""
    head = f'[["tick",{space}{tick.n},{tick.due_us},{tick.sent_us}],["pad","'
    tail = '"]]'
    return f"{head}{'.' * max(pad_bytes, size - len(head) - len(tail))}{tail}".encode()


def commands(*given: list[Any]) -> bytes:
    return json.dumps(given, separators=(",", ":")).encode()


def client_frames(received: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take the whole frames from what a client has sent; yield opcode and payload."""
    while len(received) >= 2:
        length, at = received[1] & 0x7F, 2
        if length > 125:
            at = 4 if length == 126 else 10
            length = int.from_bytes(received[2:at], "big")
        masked = received[1] >= 0x80
        end = at + 4 * masked + length
        if len(received) < end or len(received) < at:
            return
        opcode, payload = received[0] & 0x0F, bytes(received[end - length : end])
        if masked:
            pad = (bytes(received[at : at + 4]) * (length // 4 + 1))[:length]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(length, "big")
        del received[:end]
        yield opcode, payload


# Handshakes


class Request(NamedTuple):
    """What a client asked for."""

    path: str
    room: str
    key: str | None
    offers: str = ""  # the extensions
    login: str = ""


def parse_request(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    url = urlsplit([*first.split(" "), "/"][1])
    room = parse_qs(url.query).get("room", ["main"])[0]
    offers, login = headers.get("sec-websocket-extensions", ""), headers.get("authorization", "")
    return Request(url.path, room, headers.get("sec-websocket-key"), offers, login)


def switch(key: str, extensions: str = "") -> bytes:
    """Return the answer that takes up a handshake."""
    agreed = f"Sec-WebSocket-Extensions: {extensions}\r\n" if extensions else ""
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324 - RFC 6455
    accept = base64.b64encode(digest).decode()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n{agreed}\r\n"
    ).encode()


def answer(status: str, body: bytes = b"", kind: str = "text/plain") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


# Faults

_ENDLESS = b"HTTP/1.1 101 Switching Protocols\r\n" + b"".join(
    b"X-Line-%06d: %s\r\n" % (i, b"x" * 40) for i in range(1100)
)

BAD_HANDSHAKES: dict[str, bytes] = {
    "not_http": b"220 mail.example.org ESMTP ready\r\n\r\n",
    "bad_accept": switch("the key of somebody else"),
    "endless_head": _ENDLESS[: 64 * 1024],
    "empty": b"",
    "status_500": answer("500 Internal Server Error"),
}
"""What a handshake is answered with; then the connection ends, but for the two that leave the peer to end it."""

LEFT_OPEN = ("bad_accept", "endless_head")

_OPENING = frame(b'[["p_score",1,', TEXT)

GARBAGE: dict[str, bytes] = {
    "reserved_bits": frame(b"[]", 0xC0 | TEXT),
    "reserved_opcode": frame(b"[]", 0x80 | 3),
    "masked": bytes((0x80 | TEXT, 0x80 | 2)) + b"\x01\x02\x03\x04" + bytes((ord("[") ^ 1, ord("]") ^ 2)),
    "huge_length": header(2**62),
    "over_16_mib": header(17 * MIB),
    "bad_utf8_tick": b"",  # made of the tick before it
    "bad_utf8_text": frame(b'[["error","\xff"]]'),
    "not_json": frame(b"hello"),
    "not_commands": frame(b'{"tick":1}'),
    "fragmented_ping": frame(b"ping", PING),
    "long_ping": frame(b"p" * 126, 0x80 | PING),
    "lone_continuation": frame(b"2]]", 0x80),
    "nested_message": _OPENING + frame(b"[]"),
    "binary": frame(b"\x00\xff", 0x80 | BINARY),
    "truncated": b"",  # made of the tick before it; a FIN follows
}
"""What may be sent in the midst of ticks; ``binary`` alone is legal."""


def garbage(name: str, tick: Tick) -> bytes:
    """Return the bytes of one fault; ``tick`` is the last one that was sent."""
    text = tick_text(tick, 100)
    match name:
        case "bad_utf8_tick":
            return frame(text.replace(b"....", b"..\xff.", 1))
        case "truncated":
            return frame(text)[: len(text) // 2]
        case _:
            return GARBAGE[name]
