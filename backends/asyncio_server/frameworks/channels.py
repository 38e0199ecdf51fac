"""
Django Channels, on uvicorn as :mod:`.uvicorn` mends it: consumers behind its own routers, as its tutorial has them.

Its sessions and logins, which need a database, are left out, and so is the layer between consumers but in ``naive``,
which broadcasts through it: the one in memory, or one of :mod:`.redis_layers`. Pages are consumers, too, without one.

Mended here:

- Before it hands a consumer anything, of a client's or of the layer's, it has a thread look for connections to
  databases that are too old, though there is no database. Each event has a task of its own, though where there is no
  layer all come from the client. Neither is so here, but in ``naive``.
- A consumer is handed one thing after the other, and ends with the peer: its seat is run in a task beside, and when
  that has ended, so does the consumer.
- A peer that goes while a frame is on its way ends its consumer with a traceback: it is its reader's to end it.
- What is over the layer's capacity is dropped, and nobody told: it is counted.
- By the clock on the wall a message lives for 60 s, and whoever leaves one there for longer is sent nothing more: a
  process that was made to stand still for a minute had no members any more. That is put off for as long as it stood.
- A consumer takes what waits for it in the layer one by one, in turns with what its peer says, also where it throws it
  away, as its peer is gone: a thousand of them take seconds for that, in which nobody ends. It lets go of all at once.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from time import time
from typing import Any, ClassVar, cast

from channels import DEFAULT_CHANNEL_LAYER
from channels.consumer import AsyncConsumer, get_handler_name
from channels.db import aclose_old_connections
from channels.exceptions import ChannelFull, StopConsumer
from channels.generic.http import AsyncHttpConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import InMemoryChannelLayer, channel_layers
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path as route
from uvicorn.protocols.utils import ClientDisconnected

from shared.measure.counters import Counters
from shared.server.gate import Gate, Seat
from shared.wire.frames import Opcode

from ..host import Host
from .asgi import AsgiSocket, EventQueue, Library, answer_headers
from .doorkeeper import Doorkeeper
from .uvicorn import UvicornFramework

LOOK_S = 1.0
"""Without a look for what has expired: the process may have stood still."""


class CountingLayer(InMemoryChannelLayer):
    """
    Channels' layer in memory, its defaults untouched: what it drops is counted.

    ``still_us`` says for how long the process has stood still so far: all times in the layer are put off by that.
    """

    def __init__(self, counters: Counters, still_us: Callable[[], int]) -> None:
        super().__init__()
        self._counters = counters
        self._still_us = still_us
        self._put_off_us = still_us()
        self._looked_s = time()

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Keep a message for a consumer."""
        try:
            await super().send(channel, message)
        except ChannelFull:
            self._counters.dropped += 1
            raise

    def _clean_expired(self) -> None:
        """Drop what has expired, by the time in which the process ran."""
        now_s = time()
        if now_s - self._looked_s > LOOK_S:  # not each time: it is looked twice a tick and member
            self._put_off()
        self._looked_s = now_s
        super()._clean_expired()

    def _put_off(self) -> None:
        """Have what would expire do so later, by how long the process stood still since the last time."""
        still_us = self._still_us()
        more_s, self._put_off_us = (still_us - self._put_off_us) / 1_000_000, still_us
        if not more_s:
            return
        for queue in self.channels.values():
            queue._queue = deque((expiry_s + more_s, message) for expiry_s, message in queue._queue)  # noqa: SLF001 # as the layer itself
        for members in self.groups.values():
            members.update({name: joined_s + more_s for name, joined_s in members.items()})

    def let_go(self, channel: str) -> None:
        """Drop what waits for a consumer that would throw it away."""
        queue = self.channels.get(channel)
        while queue is not None and not queue.empty():
            queue.get_nowait()

    def forget(self, channel: str) -> None:
        """Keep nothing for a consumer that has ended."""
        self.channels.pop(channel, None)


class ChannelsSocket(AsgiSocket):
    """One WebSocket: what its connection has as :class:`PlayerSocket`, where the errors stand."""

    def __init__(self, consumer: "SeatConsumer", door: Doorkeeper, seat: Seat) -> None:
        events = EventQueue()
        super().__init__(cast("Library", door.library), door, seat, events.get)
        self.consumer = consumer
        self.events = events
        self.has_closed = False

    async def send_text(self, text: str) -> None:
        """Send a text message the library's own way."""
        try:
            await self.consumer.send(text_data=text)
        except ClientDisconnected as error:
            raise ConnectionResetError from error

    async def send_message(self, opcode: Opcode, payload: bytes) -> None:
        """Send a message of any kind."""
        if opcode is Opcode.CLOSE:
            self.has_closed = True
        await super().send_message(opcode, payload)

    @staticmethod
    async def broadcast(sockets: "list[ChannelsSocket]", text: str) -> None:
        """Send a text to all as Channels' tutorial does: to their group, of which each consumer sends it on."""
        for each in sockets:
            if not each.consumer.is_in_group:  # it has just come into the room
                await each.consumer.join_group()
        first = sockets[0].consumer
        await first.channel_layer.group_send(first.group, {"type": "tick.frame", "text": text})


class Undelayed(AsyncConsumer):
    """A consumer that awaits what comes, and handles it at once: there is no layer, and no database."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Handle whatever comes until the end."""
        self.scope, self.base_send = scope, send
        with suppress(StopConsumer):
            while True:
                await self.dispatch(await receive())

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Handle what came."""
        await getattr(self, get_handler_name(message))(message)


class SeatConsumer(AsyncWebsocketConsumer):
    """One WebSocket as Channels has it."""

    groups: ClassVar[list[str]] = []

    def __init__(self, gate: Gate[Host]) -> None:
        super().__init__()
        self._gate = gate
        self._seat: Seat
        self._socket: ChannelsSocket | None = None
        self._playing: asyncio.Task[None] | None = None
        self.group = ""
        self.is_in_group = False

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Live from the upgrade to the end of the seat."""
        self._seat = scope["state"]["seat"]
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._socket = None  # they hold each other
            if self._playing:
                self._playing.cancel()
            self._gate.release(self._seat)
            if self.is_in_group:
                self.channel_layer.forget(self.channel_name)

    async def join_group(self) -> None:
        """Have what is sent to the room's group."""
        self.is_in_group = True
        await self.channel_layer.group_add(self.group, self.channel_name)

    # What Channels calls

    async def connect(self) -> None:
        """Make the upgrade, and have the seat run."""
        seat, door = self._seat, self.scope["state"]["door"]
        await self.accept(headers=answer_headers(seat))
        if door.transport.is_closing():
            raise ClientDisconnected
        self.scope.clear()  # to save memory, as there are thousands of connections
        self.group = seat.room or ""
        self._socket = ChannelsSocket(self, door, seat)
        self._playing = asyncio.create_task(self._play(self._socket))

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        """Leave a message to the seat."""
        assert self._socket  # noqa: S101 # nothing is read before
        self._socket.events.put_nowait(message)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """Leave the end to the seat; end when that has ended."""
        if self._socket and self._playing and not self._playing.done():
            self._socket.events.put_nowait(message)
            return
        if self._playing:
            self._playing.result()  # what failed there fails here, too
        await super().websocket_disconnect({"code": 1006})

    async def disconnect(self, code: int) -> None:  # noqa: ARG002 # Channels' signature
        """Leave the group."""
        if self.is_in_group:
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def tick_frame(self, event: dict[str, str]) -> None:
        """Send on what was sent to the group, but nothing behind a close frame."""
        ws = self._socket
        if ws is None or ws.has_closed or ws.transport.is_closing():
            self.channel_layer.let_go(self.channel_name)
            return
        with suppress(ClientDisconnected):  # its reader ends it
            await self.send(text_data=event["text"])

    # Private methods

    async def _play(self, ws: ChannelsSocket) -> None:
        """Run the seat to its end."""
        try:
            await self._gate.run(self._seat, ws)
        finally:
            ws.library.end()


class PageConsumer(AsyncHttpConsumer):
    """A request for a page, or one whose upgrade the gate refused."""

    channel_layer_alias = "none"

    def __init__(self, gate: Gate[Host]) -> None:
        super().__init__()
        self._gate = gate

    async def handle(self, body: bytes) -> None:  # noqa: ARG002 # Channels' signature
        """Answer."""
        path = self.scope["path"]
        page = self.scope["state"]["seat"] if path in self._gate.upgrades else self._gate.page(path)
        headers = [("date", formatdate(usegmt=True)), *page.headers, ("content-length", str(len(page.body)))]
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
        await self.send_response(page.status, page.body, headers=encoded)


class UndelayedSeat(SeatConsumer, Undelayed):
    """One WebSocket."""


class UndelayedPage(PageConsumer, Undelayed):
    """A request for a page."""


async def prepare(gate: Gate[Host]) -> None:
    """Have Django configured, its thread that looks for old connections begun, and the layer's Redis, if it has one."""
    if not settings.configured:
        settings.configure()
    await aclose_old_connections()
    if redis := gate.host.core.redis:
        redis.open()


async def end_layer() -> None:
    """Hang up on a layer's Redis, if there is one."""
    if layer := channel_layers.set(DEFAULT_CHANNEL_LAYER, None):
        await layer.close()


def make_layer(host: Host) -> Any:
    """Return the layer that is chosen."""
    core = host.core

    def still_us() -> int:
        now_us = host.clock.now_us()
        return now_us - core.stalls.running_us(now_us)

    if core.redis and core.config.layer:
        from .redis_layers import REDIS_LAYERS  # noqa: PLC0415 # channels_redis need not be installed

        return REDIS_LAYERS[core.config.layer](core.counters, core.redis)
    return CountingLayer(core.counters, still_us)


def application(gate: Gate[Host]) -> ProtocolTypeRouter:
    """Return the application of a gate: an upgrade has its seat and its doorkeeper in the ``state`` of its scope."""
    host = gate.host
    is_naive = host.config.fanout == "naive"
    if is_naive:
        channel_layers.set(DEFAULT_CHANNEL_LAYER, make_layer(host))
    seat, page = (SeatConsumer, PageConsumer) if is_naive else (UndelayedSeat, UndelayedPage)
    pages = [route(path[1:], page.as_asgi(gate=gate)) for path in (*gate.paths, *gate.upgrades)]
    upgrades = [route(path[1:], seat.as_asgi(gate=gate)) for path in gate.upgrades]
    return ProtocolTypeRouter({"http": URLRouter(pages), "websocket": URLRouter(upgrades)})


class Framework(UvicornFramework):
    """Channels on uvicorn as it serves a gate."""

    async def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        await prepare(self._gate)
        await super().start(listener)

    async def stop(self) -> None:
        """End every request."""
        await super().stop()
        await end_layer()

    def application(self) -> ProtocolTypeRouter:
        """Return the application."""
        return application(self._gate)
