"""
aiohttp: its HTTP server and its WebSocket, with what they lack for a public server.

Mended here:

- ``close()`` waits for a peer that may never read; the session has the timeout instead (:mod:`shared.wire.session`).
- A broken frame ends the transport at once, and the reset that follows can discard the close frame: we linger.
- Its defaults (compression, 4 MiB messages, answers of its own) are replaced by those of the protocol.
- It waits for ever for a peer that does not take an answer.
"""

import asyncio
import socket
import struct
import zlib
from contextlib import suppress
from typing import Any

from aiohttp import WSMessage, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from shared.server.gate import Gate, Page
from shared.wire.errors import ProtocolError
from shared.wire.frames import CloseCode, Opcode
from shared.wire.handshake import Refusal
from shared.wire.parser import Message

from ..host import ConnectionEndedError, Host, TransportListener
from .doorkeeper import STEP_S, Doorkeeper, close_doors, doorkeeper, open_doors

GATE: web.AppKey[Gate[Host]] = web.AppKey("gate")

NEVER_WAIT_BYTES = 2**30
"""As ``writer_limit``: we look at the transport's buffer ourselves before we send."""

FOREVER_S = 1e9
"""Turns off aiohttp's timeout: the doorkeeper has its own."""

ANSWERS_S = 0.1
"""For requests that are being answered when the server stops."""


class AiohttpSocket(web.WebSocketResponse):
    """
    One WebSocket, read and written by one :class:`~backends.asyncio_server.connection.Connection`.

    ``waits_for_peer``: a send waits while the peer does not read, which is the library's default.
    """

    def __init__(self, max_message_bytes: int, *, compress: bool, waits_for_peer: bool) -> None:
        # max_msg_size refuses a message of exactly that size.
        tuning: dict[str, Any] = {"compress": compress, "max_msg_size": max_message_bytes + 1}
        if not waits_for_peer:
            tuning["writer_limit"] = NEVER_WAIT_BYTES
        super().__init__(autoping=False, autoclose=False, **tuning)
        self.waits_for_peer = waits_for_peer
        self.transport: asyncio.Transport
        self._door: Doorkeeper
        self._max_message_bytes = max_message_bytes

    async def open(self, request: web.Request) -> None:
        """
        Answer the upgrade request.

        Raises:
            ConnectionError: the peer is gone.

        """
        await self.prepare(request)
        if request.transport is None:
            raise ConnectionResetError("the peer is gone")
        self.transport = request.transport
        self._door = doorkeeper(request.transport)
        self._door.open_websocket(self, self._max_message_bytes, deflate=bool(self.compress))

    # What the doorkeeper tells

    def fail(self, error: ProtocolError) -> None:
        """Have whoever waits for a message find the error."""
        if self._reader is not None:
            self._reader.feed_data(WSMessage(WSMsgType.ERROR, error, None), 0)

    def end(self) -> None:
        """Have whoever waits for a message find the end."""
        if self._reader is not None:
            self._reader.feed_eof()

    # What a connection does

    async def receive_message(self) -> Message:
        """
        Wait for the next message, and for a turn to handle it.

        Raises:
            ProtocolError: the peer broke the protocol; nothing more can be read.
            ConnectionEndedError: the stream has ended.

        """
        self._door.ask_for_message()
        message = await self.receive()
        match message.type:
            case WSMsgType.TEXT | WSMsgType.BINARY | WSMsgType.PING | WSMsgType.PONG:
                data = bytes(message.data) if isinstance(message.data, bytearray) else message.data
                return Opcode(message.type), data
            case WSMsgType.CLOSE:
                return Opcode.CLOSE, int(message.data)
            case WSMsgType.ERROR if code := getattr(message.data, "code", None):
                raise ProtocolError(int(code))
            case WSMsgType.ERROR if isinstance(message.data, zlib.error):
                raise ProtocolError(CloseCode.INVALID_TEXT)  # it can't be decompressed
        raise ConnectionEndedError

    async def close(self, *, code: int = 0, message: bytes = b"", drain: bool = True) -> bool:  # noqa: ARG002 # the library's signature
        """Do nothing: the library calls this, but close frames are the session's to send."""
        return False

    async def send_text(self, text: str) -> None:
        """
        Send a text message.

        Raises:
            ConnectionError: the peer is gone.

        """
        await self.send_str(text)

    async def send_message(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message of any kind; raises as :meth:`send_text`."""
        await self.send_frame(payload, WSMsgType(opcode))

    @property
    def is_lost(self) -> bool:
        """Whether the descriptor may belong to another connection by now."""
        return self._door.is_lost

    def tell(self, listener: TransportListener | None) -> None:
        """Have the listener, instead of the library, told what the transport takes."""
        self._door.writer = listener

    def has_ended(self) -> bool:
        """Whether the peer has hung up; messages of it may be left to receive."""
        return self._door.has_ended

    async def linger(self, limit_s: float) -> None:
        """Give a peer that is not read any more time to take the close frame: until it hangs up, or ``limit_s``."""
        self._door.see_off()
        for _ in range(int(limit_s / STEP_S)):
            if self.has_ended():
                return
            await asyncio.sleep(STEP_S)
        self.abort()

    def abort(self) -> None:
        """End the connection at once, with a reset: a close would send what the kernel holds, perhaps half a frame."""
        if not self._door.is_lost:  # else the descriptor may belong to another connection
            with suppress(OSError):  # the peer was faster
                self.transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
        self._door.abort()


class Answer(web.Response):
    """An answer whose sending has a time limit, which aiohttp lacks, and that tells the doorkeeper when it is sent."""

    _host: Host | None = None
    _transport: asyncio.Transport | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Note the server and the transport."""
        if isinstance(request, web.Request):
            self._host = request.app[GATE].host
            self._transport = request.transport
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the rest within ``--handshake-limit``, or abort the connection."""
        if self._host is None:
            await super().write_eof(data)
            return
        try:
            async with asyncio.timeout(self._host.config.handshake_limit_s):
                await super().write_eof(data)
        except TimeoutError:
            if self._transport:
                doorkeeper(self._transport).abort()
            raise ConnectionResetError from None
        if self._transport:
            doorkeeper(self._transport).answered()


async def hide_versions(_: web.Request, answer: web.StreamResponse) -> None:
    """Leave out what aiohttp would say of itself and of the interpreter."""
    answer.headers.pop("Server", None)


async def page(request: web.Request) -> web.StreamResponse:
    """Answer a request for a page."""
    return answer_of(request.app[GATE].page(request.path))


def answer_of(page: Page) -> Answer:
    """Return a page as aiohttp has it."""
    return Answer(status=page.status, headers=dict(page.headers), body=page.body)


async def upgrade(request: web.Request) -> web.StreamResponse:
    """Refuse the upgrade, or run the seat to its end."""
    gate = request.app[GATE]
    sock = request.get_extra_info("socket")
    descriptor = -1 if sock is None else sock.fileno()  # -1: its peer is gone already
    query, address = request.rel_url.raw_query_string, request.remote or ""
    seat = gate.admit(request.path, query, request_headers(request), address, descriptor)
    if isinstance(seat, Refusal):
        headers = dict(seat.headers)
        if "Connection" in headers and not request.keep_alive:
            headers["Connection"] += ", close"  # which aiohttp says only where nothing else is said
        return Answer(status=seat.status, text=f"{seat.text}\n", headers=headers)
    naive = gate.host.config.fanout == "naive"
    ws = AiohttpSocket(seat.max_message_bytes, compress=naive, waits_for_peer=seat.waits_for_peer)
    try:
        await ws.open(request)
        await gate.run(seat, ws)
    except ConnectionError:
        pass  # the peer was gone before it had its answer
    finally:
        gate.release(seat)
    return ws


def request_headers(request: web.Request) -> dict[str, str]:
    """Return a request's headers, names in lower case."""
    return {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}


class Framework:
    """aiohttp as it serves a gate."""

    def __init__(self, gate: Gate[Host]) -> None:
        self._gate = gate
        self._runner: web.AppRunner
        self._site: asyncio.Server
        self._listener: socket.socket

    async def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        app = web.Application()
        app[GATE] = self._gate
        app.on_response_prepare.append(hide_versions)
        for path in self._gate.paths:
            app.router.add_get(path, page, allow_head=False)
        for path in self._gate.upgrades:
            app.router.add_get(path, upgrade, allow_head=False)
        self._runner = web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            keepalive_timeout=FOREVER_S,
            shutdown_timeout=ANSWERS_S,  # by then we have ended every connection ourselves
        )
        await self._runner.setup()
        assert self._runner.server  # noqa: S101 # it is set up
        self._listener = listener
        self._site = await open_doors(listener, self._gate.host, self._runner.server)

    async def close(self) -> None:
        """Accept no more connections."""
        await close_doors(self._listener, self._gate.host, self._site)

    async def stop(self) -> None:
        """
        See that no request is being answered any more, and end.

        aiohttp waits for each itself, but one that ends just when its time is over fails and is logged, with a
        traceback (3.14: it sets a future that was cancelled). As it does, answers get ``ANSWERS_S`` to be taken.
        """
        library = self._runner.server
        assert library  # noqa: S101 # it was started
        library.pre_shutdown()  # who has asked for nothing goes
        await self._await_requests()
        for handler in library.connections:
            if handler.transport:
                doorkeeper(handler.transport).abort()
        await self._await_requests()
        for task in self._requests():
            task.cancel()
        await self._await_requests()
        await self._runner.cleanup()

    # Private methods

    async def _await_requests(self) -> None:
        if requests := self._requests():
            await asyncio.wait(requests, timeout=ANSWERS_S)

    def _requests(self) -> set[asyncio.Task[Any]]:
        """Return aiohttp's tasks: all but ours."""
        return asyncio.all_tasks() - self._gate.host.tasks - {asyncio.current_task()}
