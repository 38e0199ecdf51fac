"""
What stands between a socket and a WSGI library that serves it: it hands out requests one at a time, and reads in turn.

pywsgi gives half a handshake all the time in the world, reads bodies without end, takes what is no HTTP, and sends an
answer in two packets, the second of which waits: :class:`DoorHandler` reads for :mod:`shared.server.door` instead.
"""

import errno
import logging
import os
import socket
from contextlib import suppress
from io import BytesIO
from typing import Any

import gevent
from gevent import pywsgi
from gevent.socket import wait

from shared.server.door import Door, TurnedAway
from shared.server.gate import Gate
from shared.system.descriptors import OUT_OF_THEM
from shared.wire.request import READ_BYTES

from ..host import Host
from ..turns import Turns

logger = logging.getLogger("tickbench.accept")

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

LibraryHandler: Any = pywsgi.WSGIHandler
"""pywsgi's, without its types, which leave out the methods that are mended here."""


class DoorServer(pywsgi.WSGIServer):
    """pywsgi's server, with a gate, and with errors of accept(2) handled."""

    gate: Gate[Host]

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
        if answer := self.gate.host.core.turn_away(sock.fileno()):
            with suppress(OSError):  # its peer has gone
                os.write(sock.fileno(), answer)  # a greenlet may wait in a send, the hub may not
            sock.close()
        else:
            super().do_handle(sock, address)


class DoorHandler(LibraryHandler):
    """
    One HTTP connection: it reads for the door, and has the library answer the requests that the door lets pass.

    A framework's handler is one, too, and comes behind it in its bases.
    """

    server: DoorServer
    _unsent: bytearray | None = None  # the head of an answer, until its body is there, too

    def __init__(self, sock: socket.socket, address: Any, server: "DoorServer") -> None:
        super().__init__(sock, address, server, rfile=BytesIO())  # it reads only the heads that the door lets pass
        self._door = Door(server.gate.host.core, address[0])
        self._is_new = True  # no request has come yet

    @property
    def host(self) -> Host:
        """The server that this connection belongs to."""
        return self.server.gate.host

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
        self.socket.settimeout(self.host.config.handshake_limit_s)  # the time that a peer has to take its answer
        if not super().handle_one_request():
            return None
        self._door.answered()
        self.host.turns.take()  # the next request may be here
        return True

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

    # Private methods

    def _next_head(self) -> bytes | None:
        """
        Wait for the next request; return None if its peer hung up, or did not send it in time.

        Raises:
            TurnedAway: its peer gets the door's answer.

        """
        host, door, config = self.host, self._door, self.host.config
        is_idle = door.is_idle and not self._is_new
        deadline_us = self._deadline_us(config.keep_alive_s if is_idle else config.handshake_limit_s)
        while (head := door.next_head(host.clock.now_us())) is None and not door.is_shut:
            if not (data := self._read(deadline_us)):
                break
            door.feed(data)
            if is_idle:
                is_idle = False
                deadline_us = self._deadline_us(config.handshake_limit_s)
        return head

    def _deadline_us(self, limit_s: float) -> int:
        return self._running_us() + round(limit_s * 1_000_000)

    def _read(self, deadline_us: int) -> bytes:
        """Wait for bytes; return b"" at the end of the stream, or if none came in time, though we may look late."""
        wait_us = 1
        while wait_us > 0:
            wait_us = max(0, deadline_us - self._running_us())
            with suppress(TimeoutError):
                return read_in_turn(self.socket, READ_BYTES, self.host.turns, wait_us / 1_000_000, is_new=self._is_new)
        return b""

    def _running_us(self) -> int:
        return self.host.core.stalls.running_us(self.host.clock.now_us())

    def _turn_away(self, answer: bytes) -> None:
        limit_s = self.host.config.limits.close_limit_s
        self.socket.settimeout(limit_s)
        self.socket.sendall(answer)
        see_off(self.socket, limit_s)

    def _send_error_response_if_possible(self, status: int) -> None:
        if self.headers_sent:  # the library asserts that they are not
            self.close_connection = True
        else:
            super()._send_error_response_if_possible(status)

    def _write_with_headers(self, data: bytes) -> None:
        """
        Send head and body at once, unlike the library; in answer to a HEAD no body, whatever a framework made.

        Nagle's algorithm holds the second of two packets back until the first one is acknowledged, which a peer may
        delay by 40 ms.
        """
        self._unsent = bytearray()
        super()._write_with_headers(data)
        answer, self._unsent = self._unsent, None
        self._sendall(answer if self.command != "HEAD" else answer[: answer.index(b"\r\n\r\n") + 4])

    def _sendall(self, data: bytes | bytearray) -> None:
        if self._unsent is None:
            super()._sendall(data)
        else:
            self._unsent += data


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
