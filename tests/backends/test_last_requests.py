"""A stop of the asyncio server leaves nothing for aiohttp to wait for, whose own way to do so can fail."""

import asyncio
import os
import signal
import socket
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp import web

from backends.asyncio_server import server as module
from backends.asyncio_server.frameworks import aiohttp as framework
from shared.server.config import parse_arguments
from shared.server.gate import Page
from shared.system.listener import listen

LATE = Page(HTTPStatus.OK, (), b"late\n")
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def run(*flags: str, number: int = 1) -> None:
    """Run a server that ``number`` connections ask for ``/healthz``; its handler is to stop it."""
    with listen("127.0.0.1", 0, 8) as listener:
        peers = [socket.create_connection(listener.getsockname()) for _ in range(number)]
        for peer in peers:
            peer.sendall(GET)

        async def life() -> None:
            async with asyncio.timeout(10):
                await module.Server(parse_arguments("asyncio", flags)).run(listener)

        asyncio.run(life())
        for peer in peers:
            peer.close()


@pytest.fixture(autouse=True)
def _leaves_the_heap_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "settle_heap", lambda: None)


def test_a_request_that_ends_just_when_aiohttp_would_give_it_up_fails_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def late(_: Any, request: web.Request) -> web.StreamResponse:
        os.kill(os.getpid(), signal.SIGTERM)
        protocol: Any = request.protocol
        while True:
            await asyncio.sleep(0)
            if protocol._handler_waiter and protocol._handler_waiter.cancelled():
                return framework.ToldResponse(request, LATE)

    monkeypatch.setattr(framework.Framework, "_page", late)
    run()
    assert not caplog.records


def test_nobody_is_being_answered_when_aiohttp_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    busy: list[int] = []
    left: list[list[int]] = []

    async def slow(_: Any, request: web.Request) -> web.StreamResponse:
        busy.append(1)
        if len(busy) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(60)
        finally:
            busy.pop()
        return framework.ToldResponse(request, LATE)

    async def cleanup(runner: web.AppRunner) -> None:
        left.append(list(busy))
        await clean_up(runner)

    clean_up = web.AppRunner.cleanup
    monkeypatch.setattr(web.AppRunner, "cleanup", cleanup)
    monkeypatch.setattr(framework.Framework, "_page", slow)
    run(number=2)
    assert left == [[]]
