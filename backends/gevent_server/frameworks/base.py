"""What every framework does alike: it asks the gate, reads in turn, and ends a connection; Flask has the pages."""

import socket
import struct
from contextlib import suppress
from typing import Any

from flask import Flask, Response, request

from shared.server.gate import Gate, Page, Seat
from shared.wire.parser import FrameParser, FrameWalker
from shared.wire.request import READ_BYTES

from ..host import ConnectionEndedError, Host
from .doorkeeper import DoorHandler, DoorServer, read_in_turn, see_off


class Stream:
    """A socket as a library writes to it, which knows what the kernel has not taken; one greenlet writes at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self.unsent_bytes = 0  # how much of what is written the kernel has not taken yet
        self._socket = sock

    def write(self, data: bytes) -> None:
        """Write all of ``data``; a method, as a function in an attribute would make a reference cycle."""
        self.unsent_bytes = len(data)
        sent = self._socket.send(data)
        while sent < len(data):
            self.unsent_bytes = len(data) - sent
            sent += self._socket.send(memoryview(data)[sent:])
        self.unsent_bytes = 0


class SeatHandler(DoorHandler):
    """One HTTP connection: it asks the gate about an upgrade, and gives the seat back when that has ended."""

    _seat: Seat | None = None  # once taken

    def run_application(self) -> None:
        """Answer one request; whatever happens, give the seat back."""
        try:
            self.answer()
        finally:
            if self._seat:
                self.server.gate.release(self._seat)
                self._seat = None

    def answer(self) -> None:
        """Answer one request, as the library does."""
        super().run_application()

    def take_seat(self) -> list[bytes] | Seat:
        """Ask the gate about the request, which is for a WebSocket; return the body of a refusal that has begun."""
        gate = self.server.gate
        named = {name.removeprefix("HTTP_"): value for name, value in self.environ.items() if name.startswith("HTTP_")}
        headers = {name.lower().replace("_", "-"): value for name, value in named.items()}
        path, query = self.environ["PATH_INFO"], self.environ["QUERY_STRING"]
        seat = gate.admit(path, query, headers, self._door.address, self.socket.fileno())
        if isinstance(seat, Page):
            self.close_connection |= "close" in headers.get("connection", "")  # which pywsgi misses in an upgrade
            self.start_response(f"{seat.status.value} {seat.status.phrase}", list(seat.headers))
            return [seat.body]
        self._seat = seat
        return seat

    def leave_door(self) -> bytes:
        """Read no more requests: the upgrade is made; return what came behind it."""
        rest = self._door.rest()
        self.socket.settimeout(None)  # from here on the session has the timeouts
        self.close_connection = True  # when the WebSocket has ended
        del self._door  # to save memory: there are thousands of connections
        return rest


class BaseSocket:
    """What a player socket of any framework does."""

    seat: Seat
    socket: socket.socket
    waits_for_peer: bool

    def sit_down(self, seat: Seat, handler: SeatHandler, frames: FrameParser | FrameWalker) -> None:
        """Begin: the upgrade is asked for."""
        self.seat = seat
        self.waits_for_peer = seat.waits_for_peer
        self.socket = handler.socket
        self._frames: Any = frames  # what the library, or who stands in for it, has not read yet
        self._turns = handler.host.turns
        self._is_new = True  # no message has come yet
        self._read_bytes = min(seat.max_message_bytes, READ_BYTES)

    def next_of_peer(self) -> Any:
        """Wait for the next message, as its frames have it, and for a turn to handle it."""
        while True:
            if self._frames.needs_bytes:
                self._frames.feed(self._read())
            else:
                self._turns.take(is_new=self._is_new)
            if (message := self._frames.next_message()) is not None:
                self._is_new = False
                return message

    def linger(self, limit_s: float) -> None:
        """Give a peer that is not read any more time to take the close frame: until it hangs up, or ``limit_s``."""
        del self._frames  # and what it holds
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

    # Private methods

    def _read(self) -> bytes:
        with suppress(OSError):
            if data := read_in_turn(self.socket, self._read_bytes, self._turns, is_new=self._is_new):
                return data
        raise ConnectionEndedError


class BaseFramework:
    """
    A framework as it serves a gate: what each of them does alike.

    Beside it one has ``start(listener)``, to accept connections.
    """

    def __init__(self, gate: Gate[Host]) -> None:
        self._gate = gate
        self._server: DoorServer

    def close(self) -> None:
        """Accept no more connections."""
        self._server.close()

    def stop(self) -> None:
        """End; by then we have ended every connection ourselves."""
        self._server.stop(timeout=0.1)

    # For one framework

    def _app(self) -> Flask:
        """Return an application that has the pages."""
        app = Flask(__name__, static_folder=None)
        for path in self._gate.paths:
            app.add_url_rule(path, path, self._page)
        return app

    def _open_doors(self, listener: socket.socket, app: Flask, handler: type[SeatHandler]) -> None:
        """Accept connections, and have an application serve them."""
        # No error log: pywsgi logs every bad request of a peer.
        self._server = DoorServer(listener, app, handler_class=handler, log=None, error_log=None)
        self._server.gate = self._gate
        self._server.start()

    # Private methods

    def _page(self) -> Response:
        page = self._gate.page(request.path)
        return Response(page.body, status=page.status.value, headers=list(page.headers))
