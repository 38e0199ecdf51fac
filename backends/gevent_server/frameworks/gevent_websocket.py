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
import struct
from contextlib import suppress

from flask import Flask, Response, request
from geventwebsocket.exceptions import WebSocketError
from geventwebsocket.handler import WebSocketHandler
from geventwebsocket.websocket import WebSocket

from shared.server.gate import Gate, Page, Seat
from shared.wire.frames import Opcode
from shared.wire.parser import FrameParser, Message
from shared.wire.request import READ_BYTES

from ..host import ConnectionEndedError, Host
from .doorkeeper import DoorHandler, DoorServer, read_in_turn, see_off


class Stream:
    """Replaces the library's ``Stream``, which a WebSocket reads and writes; one greenlet writes at a time."""

    def __init__(self, handler: "Handler") -> None:
        self.handler = handler
        self.read = handler.socket.recv
        self.unsent_bytes = 0  # how much of what is written the kernel has not taken yet
        self._socket = handler.socket

    def write(self, data: bytes) -> None:
        """Write all of ``data``; a method, as a function in an attribute would make a reference cycle."""
        self.unsent_bytes = len(data)
        sent = self._socket.send(data)
        while sent < len(data):
            self.unsent_bytes = len(data) - sent
            sent += self._socket.send(memoryview(data)[sent:])
        self.unsent_bytes = 0


class GeventWebSocket(WebSocket):
    """One WebSocket: what its connection has as :class:`PlayerSocket`, where the errors stand."""

    def __init__(self, handler: "Handler", seat: Seat, early_data: bytes) -> None:
        super().__init__(handler.environ, Stream(handler), handler)
        self.seat = seat
        self.waits_for_peer = seat.waits_for_peer
        self._parser = FrameParser(seat.max_message_bytes, seat.inflater)
        self._parser.feed(early_data)
        self._turns = handler.host.turns
        self._is_new = True  # no message has come yet
        self._read_bytes = min(seat.max_message_bytes, READ_BYTES)
        self.socket: socket.socket = handler.socket

    def __del__(self) -> None:
        """Send nothing."""

    def receive_message(self) -> Message:
        """Wait for the next message, and for a turn to handle it."""
        while True:
            if self._parser.needs_bytes:
                self._parser.feed(self._read())
            else:
                self._turns.take(is_new=self._is_new)
            if (message := self._parser.next_message()) is not None:
                self._is_new = False
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

    def linger(self, limit_s: float) -> None:
        """Give a peer that is not read any more time to take the close frame: until it hangs up, or ``limit_s``."""
        del self._parser  # and what it holds
        see_off(self.socket, limit_s)
        self.abort()

    def hang_up(self) -> None:
        """Close the connection after what the kernel has taken."""
        with suppress(OSError):  # it has ended already
            self.socket.shutdown(socket.SHUT_RDWR)

    def abort(self) -> None:
        """End the connection at once: its reader is woken; what the kernel has not sent when it is closed is lost."""
        # To shut down both directions would send a FIN behind half a frame, where the peer is to get a reset; but only
        # that wakes a greenlet that waits in a send.
        how = socket.SHUT_RDWR if self.waits_for_peer else socket.SHUT_RD
        with suppress(OSError):  # it has ended already
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.shutdown(how)

    def _read(self) -> bytes:
        with suppress(OSError):
            if data := read_in_turn(self.socket, self._read_bytes, self._turns, is_new=self._is_new):
                return data
        raise ConnectionEndedError


class Handler(DoorHandler, WebSocketHandler):
    """One HTTP connection: it refuses an upgrade, or makes it and has the application run the WebSocket."""

    _seat: Seat | None = None  # once taken

    def run_application(self) -> None:
        """Answer one request; whatever happens, give the seat back."""
        try:
            super().run_application()
        finally:
            if self._seat:
                self.server.gate.release(self._seat)
                self._seat = None

    def run_websocket(self) -> None:
        """Have the application run the WebSocket, without the library's list of clients: it fails for reused ports."""
        try:
            list(self.application(self.environ, lambda *_: None))
        finally:
            del self.environ["wsgi.websocket"], self.websocket

    def upgrade_websocket(self) -> list[bytes] | None:
        """Make the upgrade; or return the body of a refusal, or None where the route is a plain one."""
        path, gate = self.environ["PATH_INFO"], self.server.gate
        if path not in gate.upgrades:
            return None
        named = {name.removeprefix("HTTP_"): value for name, value in self.environ.items() if name.startswith("HTTP_")}
        headers = {name.lower().replace("_", "-"): value for name, value in named.items()}
        query, address, descriptor = self.environ["QUERY_STRING"], self._door.address, self.socket.fileno()
        seat = gate.admit(path, query, headers, address, descriptor)
        if isinstance(seat, Page):
            self.close_connection |= "close" in headers.get("connection", "")  # which the library misses in an upgrade
            self.start_response(f"{seat.status.value} {seat.status.phrase}", list(seat.headers))
            return [seat.body]
        self._seat = seat
        self._upgrade(headers["sec-websocket-key"].strip(), seat)
        return None

    # Private methods

    def _upgrade(self, key: str, seat: Seat) -> None:
        self.websocket = GeventWebSocket(self, seat, self._door.rest())
        self.environ["wsgi.websocket"] = self.websocket
        accept = base64.b64encode(hashlib.sha1((key + self.GUID).encode("latin-1")).digest()).decode()  # noqa: S324 # RFC 6455
        headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
        self.start_response("101 Switching Protocols", [*headers, *seat.extensions.items()])
        self.socket.settimeout(None)  # from here on the session has the timeouts
        del self._door  # to save memory: there are thousands of connections


class Framework:
    """gevent-websocket as it serves a gate."""

    def __init__(self, gate: Gate[Host]) -> None:
        self._gate = gate
        self._server: DoorServer

    def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        app = Flask(__name__, static_folder=None)
        for path in self._gate.paths:
            app.add_url_rule(path, path, self._page)
        for path in self._gate.upgrades:
            app.add_url_rule(path, path, self._run, websocket=True)
        # No error log: pywsgi logs every bad request of a peer.
        self._server = DoorServer(listener, app, handler_class=Handler, log=None, error_log=None)
        self._server.gate = self._gate
        self._server.start()

    def close(self) -> None:
        """Accept no more connections."""
        self._server.close()

    def stop(self) -> None:
        """End; by then we have ended every connection ourselves."""
        self._server.stop(timeout=0.1)

    # Private methods

    def _page(self) -> Response:
        page = self._gate.page(request.path)
        return Response(page.body, status=page.status.value, headers=list(page.headers))

    def _run(self) -> Response:
        ws = request.environ["wsgi.websocket"]
        self._gate.run(ws.seat, ws)
        return Response()
