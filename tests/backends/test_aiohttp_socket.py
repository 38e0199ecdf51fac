"""What aiohttp's own tasks leave behind when a send is given up."""

import asyncio
import gc
from typing import Any

from aiohttp._websocket.writer import WebSocketWriter
from aiohttp.base_protocol import BaseProtocol

from backends.asyncio_server.frameworks.aiohttp import AiohttpSocket
from shared.server.gate import Seat

LONG = "snake" * 20_000
"""More than aiohttp compresses at once."""


class Transport:
    """One that closes when it is told to."""

    is_over = False

    def is_closing(self) -> bool:
        return self.is_over

    def write(self, data: bytes) -> None:
        raise AssertionError(data)


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
