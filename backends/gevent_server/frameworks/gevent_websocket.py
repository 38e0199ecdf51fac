"""
gevent-websocket under pywsgi, with Flask for the pages, and with what they lack for a public server.

Mended here, each a fault of gevent-websocket 0.10.1:

- ``close(code, reason)`` never sends the code; ``__del__`` calls it. The session sends its own close frame instead.
- No bound on messages or fragments, unmasked frames are taken, pongs are dropped, unmasking and UTF-8 checks are loops
  over bytes: frames are read by :mod:`shared.wire.parser`.
- Reads have no time-out, and end, close and error look alike: :meth:`GeventWebSocket.receive_message` tells them apart.
- A refusal of the handshake crashes on Python 3 (its body is a str), a bad key is a 500, and 101 is sent before the
  route is known: :class:`Handler` refuses before the upgrade.
"""

import base64
import hashlib
import socket

from flask import Response, request
from geventwebsocket.exceptions import WebSocketError
from geventwebsocket.handler import WebSocketHandler
from geventwebsocket.websocket import WebSocket

from shared.server.gate import Seat
from shared.wire.frames import Opcode
from shared.wire.parser import FrameParser, Message

from . import base
from .base import BaseFramework, BaseSocket, SeatHandler


class Stream(base.Stream):
    """Replaces the library's ``Stream``, which a WebSocket reads and writes."""

    def __init__(self, handler: "Handler") -> None:
        super().__init__(handler.socket)
        self.handler = handler
        self.read = handler.socket.recv


class GeventWebSocket(BaseSocket, WebSocket):
    """One WebSocket: what its connection has as :class:`PlayerSocket`, where the errors stand."""

    def __init__(self, handler: "Handler", seat: Seat) -> None:
        WebSocket.__init__(self, handler.environ, Stream(handler), handler)
        self.sit_down(seat, handler, FrameParser(seat.max_message_bytes, seat.inflater))
        self._frames.feed(handler.leave_door())

    def __del__(self) -> None:
        """Send nothing."""

    def receive_message(self) -> Message:
        """Wait for the next message, and for a turn to handle it."""
        message: Message = self.next_of_peer()
        return message

    def send_text(self, text: str) -> None:
        """Send a text message the library's own way."""
        try:
            self.send(text)
        except WebSocketError as error:
            raise ConnectionResetError from error

    def send_message(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message of any kind."""
        try:
            # The library encodes text and pings itself.
            self.send_frame(payload.decode() if opcode in (Opcode.TEXT, Opcode.PING) else payload, opcode)
        except WebSocketError as error:
            raise ConnectionResetError from error

    def unsent_bytes(self) -> int:
        """Return how much of what is sent the kernel has not taken yet."""
        return int(self.stream.unsent_bytes)

    def close(self, code: int = 0, message: bytes = b"") -> None:  # noqa: ARG002 # the library's signature
        """Send nothing: the library calls this, but close frames are the session's to send."""
        self.closed = True


class Handler(SeatHandler, WebSocketHandler):
    """One HTTP connection: it refuses an upgrade, or makes it and has the application run the WebSocket."""

    def run_websocket(self) -> None:
        """Have the application run the WebSocket, without the library's list of clients: it fails for reused ports."""
        try:
            list(self.application(self.environ, lambda *_: None))
        finally:
            del self.environ["wsgi.websocket"], self.websocket

    def upgrade_websocket(self) -> list[bytes] | None:
        """Make the upgrade; or return the body of a refusal, or None where the route is a plain one."""
        if self.environ["PATH_INFO"] not in self.server.gate.upgrades:
            return None
        seat = self.take_seat()
        if not isinstance(seat, Seat):
            return seat
        self.websocket = self.environ["wsgi.websocket"] = GeventWebSocket(self, seat)
        key = self.environ["HTTP_SEC_WEBSOCKET_KEY"].strip()
        accept = base64.b64encode(hashlib.sha1((key + self.GUID).encode("latin-1")).digest()).decode()  # noqa: S324 # RFC 6455
        headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
        self.start_response("101 Switching Protocols", [*headers, *seat.extensions.items()])
        return None


class Framework(BaseFramework):
    """gevent-websocket as it serves a gate."""

    def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        app = self._app()
        for path in self._gate.upgrades:
            app.add_url_rule(path, path, self._run, websocket=True)
        self._open_doors(listener, app, Handler)

    # Private methods

    def _run(self) -> Response:
        ws = request.environ["wsgi.websocket"]
        self._gate.run(ws.seat, ws)
        return Response()
