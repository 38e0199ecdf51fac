"""
A WebSocket client of the tests' own, over one blocking socket.

It shares no code with the servers: what it believes of RFC 6455 it believes by itself, so that a fault that both
sides of a shared parser would agree on is seen here. Every read has a time-out. Knows nothing of the game.
"""

import base64
import hashlib
import json
import os
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Self

PATIENCE_S = 10.0
"""How long a test waits for what must come; far above what any of it takes."""

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

Commands = list[list[Any]]


class Frame(NamedTuple):
    """One frame from the server."""

    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        return int.from_bytes(self.payload[:2])


class Response(NamedTuple):
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A socket that is read by the piece."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE_S)
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        self.sock.close()

    def send_raw(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self, size: int) -> bytes:
        """Return exactly ``size`` bytes; EOFError where the stream ends before."""
        while len(self._buffer) < size:
            self._fill()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def read_to(self, end: bytes) -> bytes:
        """Return what comes up to and with ``end``."""
        while (index := self._buffer.find(end)) < 0:
            self._fill()
        return self.read(index + len(end))

    def read_to_eof(self) -> bytes:
        """Return all that still comes; a reset is an end as well."""
        try:
            while True:
                self._fill()
        except (EOFError, ConnectionError):
            data = bytes(self._buffer)
            self._buffer.clear()
            return data

    def read_response(self, *, has_body: bool = True) -> Response:
        """Return the next HTTP answer; one to HEAD, and a 101, has no body."""
        answer = parse_head(self.read_to(b"\r\n\r\n"))
        length = int(answer.headers.get("content-length", 0)) if has_body else 0
        return answer._replace(body=self.read(length))

    @property
    def is_within_a_frame(self) -> bool:
        """Whether bytes have come that nobody has read yet: at the end of a stream, those of a torn frame."""
        return bool(self._buffer)

    def _fill(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("the server ended the connection")
        self._buffer += data


class Client(Wire):
    """One WebSocket. Pings of the server are answered while something is read, unless ``answers_pings`` is off."""

    answers_pings = True

    # What is sent

    def upgrade(self, target: str, headers: Mapping[str, str | None]) -> Response:
        """Ask for the upgrade; return the answer, a 101 checked."""
        asked = upgrade_headers(headers)
        self.send_raw(request_bytes("GET", target, asked))
        answer = self.read_response()
        if answer.status == 101:
            check_switch(answer, asked["Sec-WebSocket-Key"])
            assert "sec-websocket-extensions" not in answer.headers, "an extension that was not asked for"
        return answer

    def send_frame(self, opcode: int, payload: bytes = b"", **fields: Any) -> None:
        """Send one frame; ``fields`` as :func:`client_frame` takes them."""
        self.send_raw(client_frame(opcode, payload, **fields))

    def send_text(self, text: str) -> None:
        self.send_frame(TEXT, text.encode())

    def send(self, message: object) -> None:
        """Send one JSON message."""
        self.send_text(json.dumps(message))

    # What comes

    def receive_frame(self) -> Frame:
        """Return the next frame; EOFError where the stream ends before, or within it."""
        while (frame := pop_frame(self._buffer)) is None:
            self._fill()
        return frame

    def receive_message(self) -> Frame:
        """Return the next frame that is no ping or pong."""
        while (frame := self.receive_frame()).opcode in (PING, PONG):
            if frame.opcode == PING and self.answers_pings:
                self.send_frame(PONG, frame.payload)
        return frame

    def receive_text(self) -> str:
        """Return the next text message."""
        frame = self.receive_message()
        assert frame.opcode == TEXT, f"not a text: {frame}, {frame.close_code if frame.opcode == CLOSE else ''}"
        return frame.payload.decode()

    def receive_commands(self) -> Commands:
        """Return the next text message, decoded."""
        return decode_commands(self.receive_text())

    def expect_close(self) -> int:
        """Return the code of the close frame that comes behind any text; nothing may follow it but the end."""
        while (frame := self.receive_message()).opcode != CLOSE:
            assert frame.opcode == TEXT
        code = frame.close_code
        with suppress(ConnectionError):  # it has gone already
            self.send_frame(CLOSE, frame.payload[:2])
        assert self.read_to_eof() == b"", "something followed the close frame"
        return code


def pop_frame(buffer: bytearray, marks: int = 0) -> Frame | None:
    """
    Take the first frame out of what came, or return None if it is not all there.

    It must be as a server has to make it: whole, unmasked, its length well put; of the reserved bits it has ``marks``.
    """
    if len(buffer) < 2:
        return None
    first, second, start = buffer[0], buffer[1], 2
    opcode, length = first & 0x0F, second & 0x7F
    assert first & 0xF0 == 0x80 | marks, f"neither final nor plain: {first:#04x}"
    assert second < 0x80, "a server's frame must not be masked"
    if length > 125:
        start, least = (4, 126) if length == 126 else (10, 65536)
        if len(buffer) < start:
            return None
        length = int.from_bytes(buffer[2:start])
        assert length >= least, "not the shortest form of a length"
    assert opcode < CLOSE or length <= 125, "a control frame of more than 125 bytes"
    if len(buffer) < start + length:
        return None
    frame = Frame(opcode, bytes(buffer[start : start + length]))
    del buffer[: start + length]
    return frame


def parse_head(head: bytes) -> Response:
    """Return an HTTP answer without its body; a field that comes twice is one list (RFC 9110, section 5.3)."""
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Response(int(first.split()[1]), headers, b"")


def connection_options(answer: Response) -> set[str]:
    """Return what an answer says of its connection: a list whose order and case mean nothing."""
    return set(answer.headers.get("connection", "").lower().split(", ")) - {""}


def client_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    declared_length: int | None = None,
) -> bytes:
    """Build a client's frame, right or wrong; ``declared_length`` is what its header says of a payload not sent."""
    length = len(payload) if declared_length is None else declared_length
    first, mask_bit = (0x80 if fin else 0) | reserved << 4 | opcode, 0x80 if masked else 0
    if length < 126:
        header = struct.pack("!BB", first, mask_bit | length)
    elif length < 65536:
        header = struct.pack("!BBH", first, mask_bit | 126, length)
    else:
        header = struct.pack("!BBQ", first, mask_bit | 127, length)
    if not masked:
        return header + payload
    key = os.urandom(4)
    pad = (key * (len(payload) // 4 + 1))[: len(payload)]
    return header + key + (int.from_bytes(payload) ^ int.from_bytes(pad)).to_bytes(len(payload))


def upgrade_headers(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return the headers of an upgrade request, changed; None leaves one out."""
    headers: dict[str, str | None] = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        **changes,
    }
    return {name: value for name, value in headers.items() if value is not None}


def request_bytes(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Build an HTTP request without a body."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def check_switch(answer: Response, key: str) -> None:
    """Check a 101 as RFC 6455, section 4.1, tells a client to."""
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()  # noqa: S324 # RFC 6455
    assert answer.headers["sec-websocket-accept"] == base64.b64encode(digest).decode()
    assert answer.headers["upgrade"].lower() == "websocket"
    assert answer.headers["connection"].lower() == "upgrade"


def decode_commands(text: str) -> Commands:
    """Decode a message of the server: a list of commands, each a list that begins with its name."""
    commands: Commands = json.loads(text)
    assert isinstance(commands, list)
    assert all(isinstance(command, list) and isinstance(command[0], str) for command in commands)
    return commands
