"""Talks with one child process of the ``process`` loops over a socket, and waits for its end."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from socket import SHUT_RDWR

from shared.rooms.remote import READ_BYTES
from shared.server.children import BaseGameChild


class GameChild(BaseGameChild):
    """One child, from its start to its end."""

    def __init__(self, nice: int, limit_s: float, now_s: Callable[[], float]) -> None:
        super().__init__(nice, limit_s, now_s)
        self._socket = self.process.socket
        self._socket.setblocking(False)  # noqa: FBT003 # as the library names it
        self._loop = asyncio.get_running_loop()
        self._has_hung_up = asyncio.Event()
        self._reader = self._loop.create_task(self._read())

    async def close(self) -> None:
        """End it, and wait until it has ended."""
        self.is_over = True
        with suppress(OSError):  # it is closed already
            self._socket.shutdown(SHUT_RDWR)
        await asyncio.wait([self._reader])

    # Private methods

    def _send(self) -> None:
        with suppress(OSError):  # it takes no more for now, or ever: then its reader ends it
            del self._unsent[: self._socket.send(self._unsent)]
        if self._unsent:
            self._loop.add_writer(self._socket, self._send)
        else:
            self._loop.remove_writer(self._socket)

    async def _read(self) -> None:
        self._loop.add_reader(self._socket, self._take_waiting)
        await self._has_hung_up.wait()
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        for pause_s in self._see_off():
            await asyncio.sleep(pause_s)

    def _take_waiting(self) -> None:
        """Take what can be read."""
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # as also happens when a child dies
            data = b""
        if not self._take(data):
            self._has_hung_up.set()
