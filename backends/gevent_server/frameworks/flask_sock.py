"""
Flask-Sock under pywsgi: simple-websocket, which frames by wsproto, with what they lack for a public server.

Mended here:

- A thread a connection reads whatever comes, as fast as it comes, into a list without bound, and answers pings, closes
  and faults by itself: here the greenlet that serves a connection has the library read one message a turn.
- What a send does not get rid of at once is lost: it is one call of the socket's ``send``.
- The socket is looked for where four servers have it, and not behind a doorkeeper; who is gone before the 101 is an
  error of the application.
- wsproto takes offers of permessage-deflate that RFC 7692 does not know, fails at others, and inflates without bound:
  it gets an offer that it can keep to, and messages that are inflated already.
- wsproto's parser holds itself, and Flask-Sock makes a class for every WebSocket, which holds that: what one had is let
  go of when it has ended.
"""

import socket
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import flask_sock
from simple_websocket import Server
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Pong, Request, TextMessage
from wsproto.extensions import Extension, PerMessageDeflate

from shared.server.gate import Seat
from shared.wire.deflate import LEAST_DEFLATED_BITS, Agreement, choose
from shared.wire.errors import ProtocolError
from shared.wire.frames import CloseCode, Opcode, server_frame
from shared.wire.parser import FrameWalker, Message

from .base import BaseFramework, BaseSocket, SeatHandler, Stream

UPGRADE = ("HTTP_UPGRADE", "HTTP_CONNECTION", "HTTP_SEC_WEBSOCKET_KEY", "HTTP_SEC_WEBSOCKET_VERSION")
OFFER = "HTTP_SEC_WEBSOCKET_EXTENSIONS"
SEAT = "tickbench.seat"


class NoThread:
    """Stands where the library would start a thread that reads."""

    name = ""

    def __init__(self, target: Any) -> None:
        """Forget what it would run."""

    def start(self) -> None:
        """Do nothing."""


class LibraryStream(Stream):
    """A socket as the library has it."""

    def dup(self) -> "LibraryStream":
        """Return itself: one descriptor a connection is enough."""
        return self

    def send(self, data: bytes) -> None:
        """Write all of ``data``."""
        self.write(data)


class FlaskSocket(BaseSocket, Server):
    """One WebSocket: what its connection has as :class:`PlayerSocket`, where the errors stand."""

    ws: Any  # wsproto's

    def __init__(self, environ: dict[str, Any], **options: Any) -> None:
        handler, seat = environ.pop(SEAT)
        self._compresses = handler.server.gate.compresses
        agreement = offered(environ.get(OFFER, "")) if self._compresses else seat.agreement
        inflater = agreement.server_inflater(seat.max_message_bytes) if agreement else None
        self.sit_down(seat, handler, FrameWalker(seat.max_message_bytes, inflater))
        self._parts: list[Any] = []  # of the message that has begun
        self._message: Message | None = None
        stream = LibraryStream(handler.socket)
        seen = {name: environ[name] for name in ("SERVER_SOFTWARE", *UPGRADE)}
        seen |= {"HTTP_HOST": "localhost", "wsgi.input": SimpleNamespace(raw=SimpleNamespace(_sock=stream))}
        if agreement and self._compresses:
            seen[OFFER] = agreement.text
        Server.__init__(self, seen, **options)
        self._frames.feed(handler.leave_door())
        # To save memory, as there are thousands of connections:
        self.environ: Any = None
        self.ws = self.ws.connection

    def receive_message(self) -> Message:
        """Wait for the next message, and for a turn to handle it."""
        while True:
            frames = self.next_of_peer()
            if self._frames.close_code is not None:  # wsproto would take no more, and send no more
                return Opcode.CLOSE, self._frames.close_code
            self.ws.receive_data(frames)
            self._handle_events()
            if self._message is not None:
                message, self._message = self._message, None
                return message

    def send_text(self, text: str) -> None:
        """Send a text message the library's own way."""
        self.send(text)

    def send_message(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message of any kind."""
        if opcode is Opcode.TEXT:
            self.send(payload.decode())
        elif opcode is Opcode.BINARY:
            self.send(payload)
        else:
            self.sock.send(server_frame(opcode, payload))  # the library has no control frames to send

    def unsent_bytes(self) -> int:
        """Return how much of what is sent the kernel has not taken yet."""
        return int(self.sock.unsent_bytes)

    def close(self, reason: int | None = None, message: str | None = None) -> None:  # noqa: ARG002 # the library's signature
        """Send nothing, and let go of what takes memory: Flask-Sock calls this when the seat has ended."""
        self.ws._proto._parse_more.close()  # noqa: SLF001 # a generator that refers to its owner
        self.ws = self._frames = None

    # Private methods

    def _handle_events(self) -> bool:
        """Answer the upgrade, or take what came; that the peer is gone, whoever reads will find."""
        for event in self.ws.events():
            match event:
                case Request():
                    headers = [(name.encode(), value.encode()) for name, value in self.seat.extensions.items()]
                    extensions: list[Extension] = [PerMessageDeflate()] if self._compresses else []
                    answer = self.ws.send(AcceptConnection(extra_headers=headers, extensions=extensions))
                    with suppress(OSError):
                        self.sock.send(answer)
                case TextMessage() | BytesMessage():
                    self._take(event)
                case Ping():
                    self._message = Opcode.PING, bytes(event.payload)
                case Pong():
                    self._message = Opcode.PONG, bytes(event.payload)
                case CloseConnection():  # what wsproto says of a fault
                    raise ProtocolError(CloseCode(event.code))
        return True

    def _take(self, event: TextMessage | BytesMessage) -> None:
        """Take a frame of a message."""
        self._parts.append(event.data)
        if event.message_finished:
            is_text = isinstance(event, TextMessage)
            self._message = (Opcode.TEXT, "".join(self._parts)) if is_text else (Opcode.BINARY, b"".join(self._parts))
            self._parts = []


flask_sock.Server = FlaskSocket  # it makes one by this name, and takes no other class


class Handler(SeatHandler):
    """One HTTP connection: it refuses an upgrade, or has the application make it and run the WebSocket."""

    def answer(self) -> None:
        """Answer one request."""
        if self.environ["PATH_INFO"] not in self.server.gate.upgrades:
            super().answer()
            return
        seat = self.take_seat()
        if isinstance(seat, Seat):
            self.environ[SEAT] = self, seat
            list(self.application(self.environ, lambda *_: None))
        else:
            self.result = seat
            self.process_result()


def offered(header: str) -> Agreement | None:
    """Return what wsproto can keep to of what a client offers."""
    agreement = choose(header, takes_over=True)
    if agreement and agreement.client_max_window_bits == LEAST_DEFLATED_BITS - 1:
        return replace(agreement, client_max_window_bits=None)  # which lets the client use 8 bits all the same
    return agreement


class Framework(BaseFramework):
    """Flask-Sock as it serves a gate."""

    def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        app = self._app()
        app.config["SOCK_SERVER_OPTIONS"] = {"thread_class": NoThread, "event_class": object}
        sock = flask_sock.Sock(app)
        for path in self._gate.upgrades:
            sock.route(path, endpoint=path)(self._play)
        self._open_doors(listener, app, Handler)

    # Private methods

    def _play(self, ws: FlaskSocket) -> None:
        """Run the seat to its end."""
        self._gate.run(ws.seat, ws)
