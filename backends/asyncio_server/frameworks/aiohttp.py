"""
aiohttp: its HTTP server and its WebSocket, with what they lack for a public server.

Mended here:

- ``close()`` waits for a peer that may never read; the session has the timeout instead (:mod:`shared.wire.session`).
- A broken frame ends the transport at once, and the reset that follows can discard the close frame: we linger.
- A long text is compressed in a task of its own, whose failure is logged where nobody waits for it any more.
- Its defaults (compression, 4 MiB messages, answers of its own) are replaced by those of the protocol.
"""

import asyncio
import logging
import socket
import zlib
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from shared.server.gate import Page, Seat
from shared.wire.errors import ProtocolError
from shared.wire.frames import OPCODES, CloseCode, Opcode
from shared.wire.parser import Message

from ..host import ConnectionEndedError
from .base import ANSWERS_S, BaseFramework, BaseSocket
from .doorkeeper import doorkeeper

NEVER_WAIT_BYTES = 2**30
"""As ``writer_limit``: we look at the transport's buffer ourselves before we send."""

FOREVER_S = 1e9
"""Turns off aiohttp's timeout: the doorkeeper has its own."""


class AiohttpSocket(BaseSocket, web.WebSocketResponse):
    """One WebSocket: what its connection has as :class:`PlayerSocket`, where the errors stand."""

    def __init__(self, seat: Seat, *, compress: bool) -> None:
        # max_msg_size refuses a message of exactly that size, and of compressed ones those that are longer.
        tuning: dict[str, Any] = {"compress": compress, "max_msg_size": seat.max_message_bytes + 1}
        if not seat.waits_for_peer:
            tuning["writer_limit"] = NEVER_WAIT_BYTES
        super().__init__(autoping=False, autoclose=False, **tuning)
        self.headers.update(seat.extensions)
        self._seat = seat

    async def open(self, request: web.Request) -> None:
        """Answer the upgrade request; raises as all that sends."""
        await self.prepare(request)
        if request.transport is None:
            raise ConnectionResetError("the peer is gone")
        self.pass_door(doorkeeper(request.transport), self, self._seat, deflate=bool(self.compress))

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
        """Wait for the next message, and for a turn to handle it."""
        self.door.ask_for_message()
        message = await self.receive()
        match message.type:
            case WSMsgType.TEXT | WSMsgType.BINARY | WSMsgType.PING | WSMsgType.PONG:
                data = bytes(message.data) if isinstance(message.data, bytearray) else message.data
                if self.compress and _size(data) > self._seat.max_message_bytes:
                    raise ProtocolError(CloseCode.MESSAGE_TOO_BIG)
                return OPCODES[message.type], data
            case WSMsgType.CLOSE:
                return Opcode.CLOSE, int(message.data)
            case WSMsgType.ERROR:
                # Its traceback holds this socket, which holds it: neither would go before a full collection.
                error = message.data.with_traceback(None)
                if code := getattr(error, "code", None):
                    raise ProtocolError(int(code))
                if isinstance(error, zlib.error):
                    raise ProtocolError(CloseCode.INVALID_TEXT)  # it can't be decompressed
        raise ConnectionEndedError

    async def close(self, *, code: int = 0, message: bytes = b"", drain: bool = True) -> bool:  # noqa: ARG002 # the library's signature
        """Do nothing: the library calls this, but close frames are the session's to send."""
        return False

    async def send_text(self, text: str) -> None:
        """Send a text message the library's own way."""
        try:
            await self.send_str(text)
        except asyncio.CancelledError:
            self._give_up()
            raise

    async def send_message(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message of any kind."""
        try:
            await self.send_frame(payload, WSMsgType(opcode))
        except asyncio.CancelledError:
            self._give_up()
            raise

    # Private methods

    def _give_up(self) -> None:
        """Let nobody mind how it goes on with what the library compresses in a task of its own."""
        tasks = self._writer._background_tasks if self._writer else ()  # noqa: SLF001 # it keeps them for itself
        for task in tasks:
            task.add_done_callback(_leave)


def _leave(task: asyncio.Task[None]) -> None:
    """Take a task's error, so that it is not logged."""
    if not task.cancelled():
        task.exception()


def _size(data: str | bytes) -> int:
    """Return how many bytes a message has."""
    return len(data) if isinstance(data, bytes) else len(data.encode())


class ToldResponse(web.Response):
    """A page as aiohttp has it, which tells the doorkeeper when it is sent."""

    def __init__(self, request: web.Request, page: Page) -> None:
        super().__init__(status=page.status, headers=dict(page.headers), body=page.body)
        self._door = doorkeeper(request.transport) if request.transport else None

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the rest, and say so."""
        await super().write_eof(data)
        if self._door:
            self._door.answered()


async def hide_versions(_: web.Request, answer: web.StreamResponse) -> None:
    """Leave out what aiohttp would say of itself and of the interpreter."""
    answer.headers.pop("Server", None)


class Framework(BaseFramework):
    """aiohttp as it serves a gate."""

    _runner: web.AppRunner

    async def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)  # it warns of subprotocols that a peer asks for
        app = web.Application()
        app.on_response_prepare.append(hide_versions)
        for path in self._gate.paths:
            app.router.add_get(path, self._page)
        for path in self._gate.upgrades:
            app.router.add_get(path, self._upgrade)
        self._runner = web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            keepalive_timeout=FOREVER_S,
            shutdown_timeout=ANSWERS_S,  # by then we have ended every connection ourselves
        )
        await self._runner.setup()
        assert self._runner.server  # noqa: S101 # it is set up
        await self._open_doors(listener, self._runner.server)

    async def stop(self) -> None:
        """
        End every request, then the library.

        aiohttp waits for each itself, but one that ends just when its time is over fails and is logged, with a
        traceback (3.14: it sets a future that was cancelled).
        """
        library = self._runner.server
        assert library  # noqa: S101 # it was started
        await self._end_requests(lambda: library.connections)
        await self._runner.cleanup()

    # Private methods

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return ToldResponse(request, self._gate.page(request.path))

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        """Refuse the upgrade, or run the seat to its end."""
        sock = request.get_extra_info("socket")
        descriptor = -1 if sock is None else sock.fileno()  # -1: its peer is gone already
        query = request.rel_url.raw_query_string
        address = doorkeeper(request.transport).address if request.transport else ""
        headers = {name.lower(): value for name, value in request.headers.items()}
        seat = self._gate.admit(request.path, query, headers, address, descriptor)
        if isinstance(seat, Page):
            answer = ToldResponse(request, seat)
            if "Connection" in answer.headers and not request.keep_alive:
                answer.headers["Connection"] += ", close"  # which aiohttp says only where nothing else is said
            return answer
        try:
            ws = AiohttpSocket(seat, compress=self._gate.compresses)
            await ws.open(request)
            await self._gate.run(seat, ws)
        except ConnectionError:
            pass  # the peer was gone before it had its answer
        finally:
            self._gate.release(seat)  # where the upgrade failed
        return ws
