"""
aiohttp's WebSocket with what it lacks for a public server. Knows nothing of the game.

Mended here:

- ``close()`` waits for a peer that may never read; the session keeps the time instead (:mod:`shared.wire.session`).
- A broken frame ends the transport at once, and the reset that follows can eat the close frame: we linger.
- Its defaults (compression, 4 MiB messages, answers of its own) are set to those of the protocol.

Not mended: the compiled reader takes unmasked frames and any number of fragments, and no hook sees either.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from shared.wire.errors import ProtocolError
from shared.wire.frames import Opcode
from shared.wire.parser import Message

NEVER_WAIT_BYTES = 2**30
"""As ``writer_limit``: we look at the transport's buffer ourselves before we send."""

STEP_S = 0.02
"""How often a closing connection is looked at."""


class ConnectionEndedError(Exception):
    """The stream has ended without a close frame."""


class GameWebSocket(web.WebSocketResponse):
    """
    One WebSocket, read and written by one :class:`~backends.asyncio_server.connection.Connection`.

    ``waits_for_peer``: a send waits while the peer does not read, as the library does by default.
    """

    def __init__(self, max_message_bytes: int, *, compress: bool, waits_for_peer: bool) -> None:
        # max_msg_size refuses a message of exactly that size.
        tuning: dict[str, Any] = {"compress": compress, "max_msg_size": max_message_bytes + 1}
        if not waits_for_peer:
            tuning["writer_limit"] = NEVER_WAIT_BYTES
        super().__init__(autoping=False, autoclose=False, **tuning)
        self.waits_for_peer = waits_for_peer
        self.transport: asyncio.Transport
        self.is_lost: bool | None = None  # whether the descriptor may be a stranger's; None: nobody tells

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

    async def receive_message(self) -> Message:
        """
        Return the next message.

        Raises:
            ProtocolError: the peer broke the protocol; nothing more can be read.
            ConnectionEndedError: the stream has ended.

        """
        message = await self.receive()
        match message.type:
            case WSMsgType.TEXT | WSMsgType.BINARY | WSMsgType.PING | WSMsgType.PONG:
                data = bytes(message.data) if isinstance(message.data, bytearray) else message.data
                return Opcode(message.type), data
            case WSMsgType.CLOSE:
                return Opcode.CLOSE, int(message.data)
            case WSMsgType.ERROR if code := getattr(message.data, "code", None):
                raise ProtocolError(int(code))
        raise ConnectionEndedError

    async def close(self, *, code: int = 0, message: bytes = b"", drain: bool = True) -> bool:  # noqa: ARG002 # the library's signature
        """Do nothing: the library calls this where the session has its own close frame to send, or none."""
        return False

    def has_ended(self) -> bool:
        """Whether the peer has hung up, though messages of it may be left to receive."""
        return self.transport.is_closing()

    async def linger(self, limit_s: float) -> None:
        """Let a peer that can't be read any more take our close frame: wait until it hangs up, at most ``limit_s``."""
        with suppress(OSError):  # the peer may have hung up already
            self.transport.write_eof()
        for _ in range(int(limit_s / STEP_S)):
            if self.has_ended():
                return
            await asyncio.sleep(STEP_S)
        self.abort()

    def abort(self) -> None:
        """End the connection at once, with a reset: a close would send what the kernel holds, a torn frame perhaps."""
        if self.is_lost is False or not self.transport.is_closing():
            with suppress(OSError):  # the peer was quicker
                self.transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
        self.transport.abort()
