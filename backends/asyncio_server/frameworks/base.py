"""What every framework does alike, by its doorkeepers."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from shared.server.gate import Gate, Seat
from shared.wire.parser import FrameWalker

from ..host import Host
from .doorkeeper import STEP_S, Doorkeeper, MessageSink, doorkeeper

ACCEPTS_A_TURN = 1
"""In a turn of the event loop; asyncio's default, the backlog, puts a thousand handshakes before the next tick."""

ANSWERS_S = 0.1
"""For requests that are being answered when the server stops."""


class BaseSocket:
    """What a player socket of any framework has its doorkeeper do."""

    transport: asyncio.Transport
    door: Doorkeeper
    waits_for_peer: bool

    def pass_door(self, door: Doorkeeper, reader: MessageSink, seat: Seat, *, deflate: bool) -> None:
        """Begin: the upgrade is made; ``deflate`` says whether the library inflates messages."""
        self.door, self.transport = door, door.transport
        self.waits_for_peer = seat.waits_for_peer
        door.open_websocket(reader, FrameWalker(seat.max_message_bytes, seat.inflater, deflate=deflate))

    @property
    def is_lost(self) -> bool:
        """Whether the descriptor may belong to another connection by now."""
        return self.door.is_lost

    def tell(self, listener: asyncio.BaseProtocol | None) -> None:
        """Have the listener, instead of the library, told what the transport takes."""
        self.door.writer = listener

    def unsent_bytes(self) -> int:
        """Return how much of what is sent the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()

    def has_ended(self) -> bool:
        """Whether the peer has hung up; messages of it may be left to receive."""
        return self.door.has_ended

    async def linger(self, limit_s: float) -> None:
        """Give a peer that is not read any more time to take the close frame: until it hangs up, or ``limit_s``."""
        self.door.see_off()
        for _ in range(int(limit_s / STEP_S)):
            if self.has_ended():
                return
            await asyncio.sleep(STEP_S)
        self.abort()

    def abort(self) -> None:
        """End the connection at once, with a reset: a close would send what the kernel holds, perhaps half a frame."""
        if not self.door.is_lost:  # else the descriptor may belong to another connection
            with suppress(OSError):  # the peer was faster
                self.transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
        self.door.abort()


class BaseFramework:
    """
    A framework as it serves a gate: what each of them does alike.

    Beside it one has ``start(listener)``, to accept connections, and ``stop()``, to end all that is left.
    """

    def __init__(self, gate: Gate[Host]) -> None:
        self._gate = gate
        self._listener: socket.socket
        self._site: asyncio.Server

    async def close(self) -> None:
        """Accept no more connections."""
        if self._gate.host.config.loop == "asyncio":
            # Accepted connections must be attached before asyncio's server closes, or 3.13 prints a traceback.
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            await asyncio.sleep(0)
        self._site.close()

    # For one framework

    async def _open_doors(self, listener: socket.socket, serve: Callable[[], asyncio.Protocol]) -> None:
        """Accept connections, each with a doorkeeper before the library's protocol, which ``serve`` makes."""
        host, self._listener = self._gate.host, listener
        make = partial(Doorkeeper, host, serve)
        self._site = await asyncio.get_running_loop().create_server(make, sock=listener, backlog=ACCEPTS_A_TURN)
        listener.listen(host.config.backlog)  # asyncio takes one number for both

    async def _end_requests(self, protocols: Callable[[], Iterable[Any]]) -> None:
        """
        See that no request is being answered any more: whoever is has ``ANSWERS_S`` to take it.

        ``protocols`` returns the library's of all connections that are left.
        """
        for end in (Doorkeeper.hang_up, Doorkeeper.abort):
            for transport in [protocol.transport for protocol in protocols()]:
                if transport:
                    end(doorkeeper(transport))
            requests = await self._await_requests()
        for task in requests:
            task.cancel()
        await self._await_requests()

    # Private methods

    async def _await_requests(self) -> set[asyncio.Task[Any]]:
        """Wait for the library's tasks, which are all but ours, for at most ``ANSWERS_S``; return them."""
        requests = asyncio.all_tasks() - self._gate.host.owned - {asyncio.current_task()}
        if requests:
            await asyncio.wait(requests, timeout=ANSWERS_S)
        return requests
