"""Talks with one child process of the ``process`` loops over a socket, and waits for its end."""

from collections.abc import Callable
from contextlib import suppress
from socket import SHUT_RDWR

import gevent
from gevent.event import Event

from shared.rooms.remote import READ_BYTES
from shared.server.children import BaseGameChild


class GameChild(BaseGameChild):
    """One child, from its start to its end."""

    def __init__(self, nice: int, limit_s: float, now_s: Callable[[], float]) -> None:
        super().__init__(nice, limit_s, now_s)
        self._socket = self.process.socket
        self._is_asked = Event()
        self._reader, self._writer = gevent.spawn(self._read), gevent.spawn(self._write)

    def close(self) -> None:
        """End it, and wait until it has ended."""
        self.is_over = True
        with suppress(OSError):  # it is closed already
            self._socket.shutdown(SHUT_RDWR)
        self._reader.join()

    # Private methods

    def _send(self) -> None:
        self._is_asked.set()

    def _write(self) -> None:
        with suppress(OSError):  # its reader ends it
            while True:
                self._is_asked.wait()
                self._is_asked.clear()
                while self._unsent:
                    del self._unsent[: self._socket.send(self._unsent)]

    def _read(self) -> None:
        with suppress(OSError):  # as also happens when a child dies
            while self._take(self._socket.recv(READ_BYTES)):
                pass
        self._writer.kill(block=False)
        self._socket.close()
        for pause_s in self._see_off():
            gevent.sleep(pause_s)
