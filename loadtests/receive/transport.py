"""
The socket of a connection: it does not block, is read in callbacks of gevent's hub, and speaks TLS where it is to.

Knows nothing of HTTP and WebSocket.
"""

import _socket  # the C type: what Python and gevent lay over it costs more than the read itself
import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NoReturn

import gevent

from loadtests.receive.reads import TEXT_VIEW, Receive
from loadtests.receive.stamps import ask_for_stamps, now_us, stamp_us
from shared.system.descriptors import descriptor_limits
from shared.wire.target import Target
from shared.wire.tls import CertificateError, ClientTls, TlsError

Address = tuple[int, tuple[Any, ...]]
"""Family and socket address, as getaddrinfo gives them."""

READ, WRITE = 1, 2
MAX_UNSENT_BYTES: Final = 64 * 1024
RESERVED_DESCRIPTORS: Final = 32
"""Below the limit of open files, for what else the generator has to open: /stats, /proc, its files."""
OWN_LIMITS: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM))


class Transport:
    """What a connection of the load stands on; who derives from it says what becomes of what is read."""

    __slots__ = ("_address", "_reader", "_receive", "_secured_us", "_socket", "_tls", "_unsent", "_writer")

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket: _socket.socket | None = None
        self._tls: ClientTls | None = None
        self._secured_us = 0  # when the handshake of TLS began; 0 when it was over
        self._unsent = bytearray()
        self._receive: Receive
        self._reader: Any = None
        self._writer: Any = None

    # To be said by who derives from it

    def take_read(self, data: memoryview, stamp: bytes, *, cut_off: bool = False) -> None:
        """Take what was read, none at the end; ``cut_off``: behind it was what can't be understood yet."""
        raise NotImplementedError

    def _on_read(self) -> tuple[Callable[..., None], tuple[Any, ...]]:
        """Return what the hub shall call when there is something to read, and with which arguments."""
        raise NotImplementedError

    def _opened(self, tls_us: int | None) -> None:
        """Begin to talk; ``tls_us`` is how many microseconds the handshake of TLS took, None without."""
        raise NotImplementedError

    def _lose(
        self, why: str, stamp: bytes = b"", close_code: int | None = None, *, broke_protocol: bool = False
    ) -> None:
        """End: the server ended it, or made it impossible to go on."""
        raise NotImplementedError

    # Opening and ending

    def _begin(self, target: Target) -> None:
        """Connect, and go on in the hub; raise OSError where that can't be done. Call it in a greenlet."""
        family, address = self._address
        self._socket = connection = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
        if connection.fileno() >= descriptor_limits()[0] - RESERVED_DESCRIPTORS:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        ask_for_stamps(connection)
        self._receive = connection.recvmsg_into
        loop = gevent.get_hub().loop
        self._reader = loop.io(connection.fileno(), READ)
        result = connection.connect_ex(address)
        if result == errno.EINPROGRESS:
            self._writer = loop.io(connection.fileno(), WRITE)
            gevent.get_hub().wait(self._writer)
            result = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if result:
            raise OSError(result, os.strerror(result))
        if target.secure:
            self._tls = ClientTls(target.host, verifies=target.verifies)
            self._secured_us = now_us()
        callback, arguments = self._on_read()
        self._reader.start(callback, *arguments)
        if self._tls is None:
            self._opened(None)
        else:
            self.take_encrypted(b"", is_over=False)

    def _release(self) -> None:
        """Give up the socket, and all that belongs to it."""
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        if self._socket is not None:
            if self._tls is not None and not self._unsent:
                with suppress(OSError):
                    self._socket.send(self._tls.goodbye())
            self._socket.close()
        self._socket = self._reader = self._writer = self._tls = None
        self._receive = _closed  # the socket's own method would keep the descriptor open

    # Sending

    def _send(self, data: bytes) -> None:
        if self._tls is None:
            self._write(data)
            return
        try:
            encrypted = self._tls.encrypt(data)
        except TlsError as error:
            self._lose(str(error), broke_protocol=True)
        else:
            self._write(encrypted)

    def _write(self, data: bytes) -> None:
        """Give the kernel what is to be sent as it is."""
        if self._socket is None or not data:
            return
        sent = 0
        if not self._unsent:
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                self._lose(reason_of(error))
                return
        if sent < len(data):
            if len(self._unsent) > MAX_UNSENT_BYTES:  # one message may be longer
                self._lose("the server does not read")
                return
            self._unsent += data[sent:]
            if self._writer is None:
                self._writer = gevent.get_hub().loop.io(self._socket.fileno(), WRITE)
            self._writer.start(self._on_writable)

    def _on_writable(self) -> None:
        self._writer.stop()
        unsent, self._unsent = self._unsent, bytearray()
        self._write(bytes(unsent))

    # Receiving

    def take_failure(self, error: OSError) -> None:
        """End: reading failed."""
        self._lose(reason_of(error))

    def take_encrypted(self, stamp: bytes, *, is_over: bool) -> None:
        """Take what TLS was fed with; ``is_over``: it was the last."""
        tls = self._tls
        if tls is None:
            return
        size, says_goodbye = 0, False
        try:
            if not self._secured_us or self._shake_hands(tls, stamp):
                size, says_goodbye = tls.decrypt(TEXT_VIEW)
            self._write(tls.to_send())
        except TlsError as error:
            self._write(tls.to_send())  # an alert
            self._lose(str(error), stamp, broke_protocol=not isinstance(error, CertificateError))
            return
        if size:
            self.take_read(TEXT_VIEW[:size], stamp, cut_off=tls.bounds.left_bytes > 0)
        if is_over and self._secured_us:
            self._lose("hung up in the handshake of TLS")
        elif is_over or says_goodbye:
            self.take_read(TEXT_VIEW[:0], stamp)

    def _shake_hands(self, tls: ClientTls, stamp: bytes) -> bool:
        """Go on with the handshake of TLS; when it is done, begin to talk, and return True."""
        if not tls.shake_hands():
            return False
        took_us, self._secured_us = stamp_us(stamp) - self._secured_us, 0
        self._opened(took_us)
        return True


def _closed(*_: Any) -> NoReturn:
    raise BlockingIOError


def reason_of(error: OSError) -> str:
    """Say in words that can be counted why a system call failed."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
