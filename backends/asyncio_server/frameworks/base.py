"""What every framework does alike, by its doorkeepers."""

import asyncio
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from typing import Any, cast

from shared.server.gate import Gate, Page, Seat
from shared.wire.parser import FrameWalker

from ..host import Host, Soon
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
    broadcast: Callable[[list[Any], str], Soon[None]] | None = None

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


class PacedTransport:
    """A transport as a library gets it: reading is the doorkeeper's."""

    def __init__(self, door: Doorkeeper) -> None:
        self._door = door

    def __getattr__(self, name: str) -> Any:
        return getattr(self._door.transport, name)

    def pause_reading(self) -> None:
        """Do nothing."""

    def resume_reading(self) -> None:
        """Do nothing."""


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


class UpgradingFramework(BaseFramework, ABC):
    """A framework whose library makes WebSockets and has no more of HTTP: all other answers are written here."""

    def __init__(self, gate: Gate[Host]) -> None:
        super().__init__(gate)
        self.protocols: set[Any] = set()
        """Of all connections that are left: ours for HTTP, or the library's."""

    @abstractmethod
    def upgrade(self, door: Doorkeeper, seat: Seat, head: bytes) -> None:
        """Have the library answer the head of an upgrade request that was admitted, and run the seat."""

    async def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        await self._open_doors(listener, partial(PlainHttp, self))

    async def stop(self) -> None:
        """End every request."""
        await self._end_requests(lambda: list(self.protocols))

    def answer(self, door: Doorkeeper, head: bytes) -> None:
        """Answer a request, whose head is as the door writes it."""
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        path, _, query = target.partition("?")
        if path in self._gate.upgrades:
            descriptor = door.transport.get_extra_info("socket").fileno()
            page = self._gate.admit(path, query, headers, door.address, descriptor)
            if isinstance(page, Seat):
                self.upgrade(door, page, head)
                return
        else:
            page = self._gate.page(path)
        is_last = headers.get("connection", "").endswith("close")
        door.transport.write(page_bytes(page, is_last=is_last, has_body=method != "HEAD"))
        if is_last:
            door.transport.close()
        asyncio.get_running_loop().call_soon(door.answered)  # or it would give out the next one from within this one


class PlainHttp(asyncio.Protocol):
    """One HTTP connection of a framework, until an upgrade."""

    transport: asyncio.Transport

    def __init__(self, framework: UpgradingFramework) -> None:
        self._framework = framework

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self._framework.protocols.add(self)

    def data_received(self, data: bytes) -> None:
        """Answer a request."""
        self._framework.answer(doorkeeper(self.transport), data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # the transport's signature
        """End."""
        self._framework.protocols.discard(self)


def page_bytes(page: Page, *, is_last: bool, has_body: bool) -> bytes:
    """Return a page as an answer, in one piece; the connection ends with it if it ``is_last``."""
    options = [value for name, value in page.headers if name == "Connection"] + ["close"] * is_last
    headers = [
        ("Date", formatdate(usegmt=True)),
        *(header for header in page.headers if header[0] != "Connection"),
        ("Content-Length", str(len(page.body))),
        *([("Connection", ", ".join(options))] if options else []),
    ]
    lines = [f"HTTP/1.1 {page.status.value} {page.status.phrase}", *(": ".join(header) for header in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1") + (page.body if has_body else b"")
