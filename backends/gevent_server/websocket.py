"""
pywsgi's HTTP and gevent-websocket's WebSocket, with what they lack for a public server.

Mended here, the faults of gevent-websocket 0.10.1 and, at the end, of pywsgi:

- ``close(code, reason)`` never sends the code; ``__del__`` calls it. The session sends its own close frame instead.
- No bound on messages or fragments, unmasked frames are taken, pongs are dropped, unmasking and UTF-8 checks are loops
  over bytes: frames are read by :mod:`shared.wire.parser`.
- Reads have no time-out, and end, close and error look alike: :meth:`GameWebSocket.receive_message` tells them apart.
- Two greenlets that send at once raise ``ConcurrentObjectUseError``: where there are two, a lock is around their sends.
- A refusal of the handshake crashes on Python 3 (its body is a str), a bad key is a 500, and 101 is sent before the
  route is known: :class:`GameHandler` refuses before the upgrade.
- pywsgi has no timeout for requests and no bound on bodies, accepts malformed HTTP, and sends an answer in two packets,
  the second of which is delayed: :class:`GameHandler` reads for :mod:`shared.server.door` instead.
"""

import base64
import errno
import hashlib
import logging
import os
import socket
import struct
from contextlib import suppress
from io import BytesIO
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from gevent.pywsgi import WSGIServer
from gevent.socket import wait
from geventwebsocket.exceptions import WebSocketError
from geventwebsocket.handler import WebSocketHandler
from geventwebsocket.websocket import WebSocket

from shared.server.door import CONNECT, ECHO, Door, TurnedAway
from shared.system.descriptors import OUT_OF_THEM
from shared.wire.frames import Opcode
from shared.wire.handshake import room_name
from shared.wire.parser import FrameParser, Message
from shared.wire.request import READ_BYTES
from shared.wire.session import ECHO_LIMIT_BYTES

from .host import Host
from .turns import Turns

logger = logging.getLogger("tickbench")

GONE = frozenset(
    (
        errno.ECONNABORTED,
        errno.EPROTO,
        errno.EPERM,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENONET,
        errno.EBADF,
    )
)
"""
The errors of accept(2) for a connection that has ended already, or is forbidden.

EBADF is gevent's, for a new connection whose descriptor libuv still watches for the connection that had it before.
"""

STEP_S = 0.02
"""How often a closing connection is checked."""


class ConnectionEndedError(Exception):
    """The stream has ended without a close frame."""


class GameStream:
    """Replaces the library's ``Stream``, which a WebSocket reads and writes; ``shared``: writes are under a lock."""

    def __init__(self, handler: "GameHandler", *, shared: bool) -> None:
        self.handler = handler
        self.read = handler.socket.recv
        self.unsent_bytes = 0  # how much of what is written the kernel has not taken yet
        self._socket = handler.socket
        self._lock = BoundedSemaphore(1) if shared else None
        self._has_closed = False

    def write(self, data: bytes) -> None:
        """Write all of ``data``; a method, as a function in an attribute would make a reference cycle."""
        if self._lock:
            with self._lock:
                if not self._has_closed:  # nothing follows a close frame
                    self._has_closed = data[0] & 0x0F == Opcode.CLOSE
                    self._socket.sendall(data)
            return
        self.unsent_bytes = len(data)
        sent = self._socket.send(data)
        while sent < len(data):
            self.unsent_bytes = len(data) - sent
            sent += self._socket.send(memoryview(data)[sent:])
        self.unsent_bytes = 0


class GameWebSocket(WebSocket):
    """
    One WebSocket, read and written by one :class:`~backends.gevent_server.connection.Connection`.

    ``waits_for_peer``: a send waits while the peer does not read, which is the library's default.
    """

    def __init__(
        self, handler: "GameHandler", max_message_bytes: int, early_data: bytes, *, waits_for_peer: bool
    ) -> None:
        super().__init__(handler.environ, GameStream(handler, shared=waits_for_peer), handler)
        self.waits_for_peer = waits_for_peer
        self._parser = FrameParser(max_message_bytes)
        self._parser.feed(early_data)
        self._turns = handler.game.turns
        self._is_new = True  # no message has come yet
        self._read_bytes = min(max_message_bytes, READ_BYTES)
        self.socket: socket.socket = handler.socket

    def __del__(self) -> None:
        """Send nothing."""

    def receive_message(self) -> Message:
        """
        Wait for the next message, and for a turn to handle it.

        Raises:
            ProtocolError: the peer broke the protocol; nothing more can be read.
            ConnectionEndedError: the stream has ended.

        """
        while True:
            if self._parser.needs_bytes:
                self._parser.feed(self._read())
            else:
                self._turns.take(is_new=self._is_new)
            if (message := self._parser.next_message()) is not None:
                self._is_new = False
                return message

    def send_message(self, opcode: Opcode, payload: bytes) -> None:
        """
        Send one message.

        Raises:
            ConnectionError: the peer is gone.

        """
        try:
            # The library encodes text and pings itself.
            self.send_frame(payload.decode() if opcode in (Opcode.TEXT, Opcode.PING) else payload, opcode)
        except WebSocketError as error:
            raise ConnectionResetError from error

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
        try:
            data = read_in_turn(self.socket, self._read_bytes, self._turns, is_new=self._is_new)
        except OSError:
            raise ConnectionEndedError from None
        if not data:
            raise ConnectionEndedError
        return data


class GameWSGIServer(WSGIServer):
    """pywsgi's server, with the game's server, and with errors of accept(2) handled."""

    game: "Host"

    max_accept = 1
    """Accepts in a turn of the hub. The library's 100 put as many handshakes before the next tick when many connect."""

    def do_read(self) -> Any:
        """Accept a connection; if there is no descriptor for it, have the library try again a little later."""
        try:
            return super().do_read()
        except OSError as error:
            if error.errno in GONE:
                return None  # the library would stop for a while, or for good, and print a traceback
            if error.errno not in OUT_OF_THEM:
                raise
            logger.error("no descriptor", exc_info=error)  # noqa: TRY400 # a filter makes one line of it
            raise gevent.GreenletExit from None  # any other exception the hub would print, with a traceback

    def do_handle(self, sock: socket.socket, address: Any) -> None:
        """Serve a connection in a greenlet of its own, or turn it away."""
        if answer := self.game.core.turn_away(sock.fileno()):
            with suppress(OSError):  # its peer has gone
                os.write(sock.fileno(), answer)  # a greenlet may wait in a send, the hub may not
            sock.close()
        else:
            super().do_handle(sock, address)


class GameHandler(WebSocketHandler):
    """
    One HTTP connection: it reads for the door, and has the library answer the requests that the door lets pass.

    It refuses an upgrade, or makes it and has the application run the WebSocket.
    """

    server: GameWSGIServer
    _seat: tuple[str | None, str] | None = None  # room and address, once taken
    _unsent: bytearray | None = None  # the head of an answer, until its body is there, too

    def __init__(self, sock: socket.socket, address: Any, server: GameWSGIServer) -> None:
        super().__init__(sock, address, server, rfile=BytesIO())  # it reads only the heads that the door lets pass
        self._door = Door(server.game.core)
        self._is_new = True  # no request has come yet

    @property
    def game(self) -> Host:
        """The server that this connection belongs to."""
        return self.server.game

    def handle(self) -> None:
        """
        Serve one connection; a peer that hangs up in the middle of an answer is no error.

        The library's own method closes the descriptor before its watchers, and the next connection can get both: on
        libuv its accept fails then. The caller closes the socket, in the right order.
        """
        with suppress(OSError):
            while self.handle_one_request():
                pass

    def handle_one_request(self) -> Any:
        """Have the library answer the next request; return whether there may be another."""
        try:
            head = self._next_head()
        except TurnedAway as turned:
            self._turn_away(turned.answer)
            return None
        if head is None:
            return None
        self._is_new = False
        self.rfile = BytesIO(head)
        self.socket.settimeout(self.game.config.handshake_limit_s)  # the time that a peer has to take its answer
        if not super().handle_one_request():
            return None
        self._door.answered()
        self.game.turns.take()  # the next request may be here
        return True

    def run_application(self) -> None:
        """Answer one request; whatever happens, give the seat back."""
        try:
            super().run_application()
        finally:
            if self._seat:
                self.game.core.release(*self._seat, self.game.clock.now_us())
                self._seat = None

    def run_websocket(self) -> None:
        """Have the application run the WebSocket, without the library's list of clients: it fails for reused ports."""
        try:
            list(self.application(self.environ, lambda *_: None))
        finally:
            del self.environ["wsgi.websocket"], self.websocket

    def finalize_headers(self) -> None:
        """Add ``Connection: close`` if the connection ends with this answer."""
        super().finalize_headers()
        if self.close_connection and not self.connection_upgraded:
            options = [value for name, value in self.response_headers if name == b"Connection"]
            self.response_headers[:] = [header for header in self.response_headers if header[0] != b"Connection"]
            self.response_headers.append((b"Connection", b", ".join([*options, b"close"])))

    def handle_error(self, kind: Any, error: Any, traceback: Any) -> None:
        """Log errors, except that a peer did not read its answer in time."""
        if isinstance(error, TimeoutError):
            self.close_connection = True
        else:
            super().handle_error(kind, error, traceback)

    def upgrade_websocket(self) -> list[bytes] | None:
        """Make the upgrade; or return the body of a refusal, or None where the route is a plain one."""
        path = self.environ["PATH_INFO"]
        if path not in (CONNECT, ECHO):
            return None
        is_echo = path == ECHO
        room = None if is_echo else room_name(self.environ["QUERY_STRING"])
        address = self.client_address[0]
        headers = request_headers(self.environ)
        descriptor = self.socket.fileno()
        if refusal := self.game.core.admit(headers, room, address, self.game.clock.now_us(), descriptor):
            self.close_connection |= "close" in headers.get("connection", "")  # which the library misses in an upgrade
            fields = [*refusal.headers, ("Content-Type", "text/plain; charset=utf-8")]
            self.start_response(f"{refusal.status.value} {refusal.status.phrase}", fields)
            return [f"{refusal.text}\n".encode()]
        self._seat = (room, address)
        self._upgrade(headers["sec-websocket-key"].strip(), is_echo=is_echo)
        return None

    # Private methods

    def _next_head(self) -> bytes | None:
        """
        Wait for the next request; return None if its peer hung up, or did not send it in time.

        Raises:
            TurnedAway: its peer gets the door's answer.

        """
        game, door = self.game, self._door
        deadline_us = game.clock.now_us() + round(game.config.handshake_limit_s * 1_000_000)
        while (head := door.next_head(game.clock.now_us())) is None and not door.is_shut:
            if not (data := self._read(deadline_us)):
                break
            door.feed(data)
        return head

    def _read(self, deadline_us: int) -> bytes:
        """Wait for bytes; return b"" at the end of the stream, or if none came in time, though we may look late."""
        for wait_us in (max(0, deadline_us - self.game.clock.now_us()), 0):
            with suppress(TimeoutError):
                return read_in_turn(self.socket, READ_BYTES, self.game.turns, wait_us / 1_000_000, is_new=self._is_new)
        return b""

    def _turn_away(self, answer: bytes) -> None:
        limit_s = self.game.config.limits.close_limit_s
        self.socket.settimeout(limit_s)
        self.socket.sendall(answer)
        see_off(self.socket, limit_s)

    def _upgrade(self, key: str, *, is_echo: bool) -> None:
        config = self.game.config
        naive = config.fanout == "naive"
        limit_bytes = ECHO_LIMIT_BYTES if is_echo else config.limits.max_message_bytes
        self.websocket = GameWebSocket(self, limit_bytes, self._door.rest(), waits_for_peer=naive or is_echo)
        self.environ["wsgi.websocket"] = self.websocket
        accept = base64.b64encode(hashlib.sha1((key + self.GUID).encode("latin-1")).digest()).decode()  # noqa: S324 # RFC 6455
        headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
        self.start_response("101 Switching Protocols", headers)
        self.socket.settimeout(None)  # from here on the session has the timeouts
        del self._door  # to save memory: there are thousands of connections

    def _send_error_response_if_possible(self, status: int) -> None:
        if self.headers_sent:  # the library asserts that they are not
            self.close_connection = True
        else:
            super()._send_error_response_if_possible(status)

    def _write_with_headers(self, data: bytes) -> None:
        """
        Send head and body at once, unlike the library.

        Nagle's algorithm holds the second of two packets back until the first one is acknowledged, which a peer may
        delay by 40 ms.
        """
        self._unsent = bytearray()
        super()._write_with_headers(data)
        answer, self._unsent = self._unsent, None
        self._sendall(answer)

    def _sendall(self, data: bytes | bytearray) -> None:
        if self._unsent is None:
            super()._sendall(data)
        else:
            self._unsent += data


def request_headers(environ: dict[str, Any]) -> dict[str, str]:
    """Return a request's headers, names in lower case."""
    names = [name for name in environ if name.startswith("HTTP_")]
    return {name.removeprefix("HTTP_").lower().replace("_", "-"): environ[name] for name in names}


def read_in_turn(sock: Any, size: int, turns: Turns, limit_s: float | None = None, *, is_new: bool) -> bytes:
    """
    Read up to ``size`` bytes, b"" at the end of the stream, when there are some and there is a turn to handle them.

    The socket's own ``recv`` reads as soon as they are there: when thousands send at once, that alone delays ticks.

    Raises:
        OSError: the connection is lost.
        TimeoutError: nothing came within ``limit_s``.

    """
    has_turn = False
    while True:
        try:
            data = os.read(sock.fileno(), size)
        except BlockingIOError:
            wait(sock._read_event, limit_s)  # noqa: SLF001 # a watcher of our own would be one more a connection
            turns.take(is_new=is_new)
            has_turn = True
        else:
            if not has_turn:
                turns.take(is_new=is_new)
            return data


def see_off(sock: socket.socket, limit_s: float) -> None:
    """
    Give a peer time to read what was sent last: until it hangs up, or ``limit_s``; drop what it sends meanwhile.

    With unread bytes our close would be a reset, and the peer would lose what it has not read yet.
    """
    with suppress(OSError), gevent.Timeout(limit_s, TimeoutError):
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(READ_BYTES):
            gevent.sleep(STEP_S)  # a peer that floods must not keep the hub busy
