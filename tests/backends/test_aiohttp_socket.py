"""What aiohttp leaves behind: its own tasks when a send is given up, and a socket whose peer broke the rules."""

import asyncio
import gc
import weakref
import zlib
from typing import Any

import pytest
from aiohttp import WebSocketError, WSCloseCode
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp._websocket.writer import WebSocketWriter
from aiohttp.base_protocol import BaseProtocol

from backends.asyncio_server.frameworks.aiohttp import AiohttpSocket
from shared.server.gate import Seat
from shared.wire.errors import ProtocolError

LONG = "snake" * 20_000
"""More than aiohttp compresses at once."""


class Transport:
    """One that closes when it is told to."""

    is_over = False

    def is_closing(self) -> bool:
        return self.is_over

    def write(self, data: bytes) -> None:
        raise AssertionError(data)


class Door:
    """One that gives messages out to whoever asks."""

    def ask_for_message(self) -> None:
        pass


def test_a_long_text_that_is_given_up_fails_without_a_word() -> None:
    told: list[dict[str, Any]] = []

    async def send() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        transport: Any = Transport()
        socket = AiohttpSocket(Seat("main", "", 4096, waits_for_peer=False), compress=True)
        socket._writer = WebSocketWriter(BaseProtocol(loop), transport, compress=15)
        sending = asyncio.create_task(socket.send_text(LONG))
        await asyncio.sleep(0)
        (compressing,) = socket._writer._background_tasks
        transport.is_over = True
        sending.cancel()
        await asyncio.wait([sending, compressing], timeout=10)
        assert sending.cancelled()
        assert compressing.done()
        del compressing

    asyncio.run(send())
    gc.collect()
    assert told == []


@pytest.mark.parametrize(
    ("error", "code"),
    [(WebSocketError(WSCloseCode.MESSAGE_TOO_BIG, "it inflates to more"), 1009), (zlib.error("it does not"), 1007)],
)
def test_an_error_does_not_hold_the_socket_that_met_it(error: Exception, code: int) -> None:
    async def meet() -> weakref.ref[AiohttpSocket]:
        loop, door = asyncio.get_running_loop(), Door()
        socket = AiohttpSocket(Seat("main", "", 4096, waits_for_peer=False), compress=True)
        socket.door = door  # type: ignore[assignment] # that is all of a door which is asked
        socket._reader = WebSocketDataQueue(BaseProtocol(loop), 2**16, loop=loop)
        socket._reader.set_exception(error)
        told = 0
        try:
            await socket.receive_message()
        except ProtocolError as refusal:  # pytest.raises would hold the frames of it, and they the socket
            told = refusal.code
        assert told == code
        return weakref.ref(socket)

    gc.disable()
    try:
        assert asyncio.run(meet())() is None
    finally:
        gc.enable()
