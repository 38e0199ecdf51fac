"""What aiohttp is shown of a peer, by whom it stands behind: one request, and one message, after the other."""

import asyncio
import gc
import socket
import weakref
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from backends.asyncio_server.clock import Clock
from backends.asyncio_server.frameworks.doorkeeper import HANDLE_US, STEP_S, Doorkeeper
from backends.asyncio_server.turns import Turns
from shared.loops.turns import TURN_US
from shared.server.config import parse_arguments
from shared.server.core import ServerCore
from shared.wire.errors import ProtocolError
from shared.wire.frames import Opcode
from shared.wire.parser import FrameWalker
from shared.wire.request import READ_BYTES
from shared.wire.session import SPARED_S
from shared.wire.stalls import NO_STALLS, Stalls
from tests.support.client import client_frame

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = (
    b"GET /connect HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
HELLO = client_frame(Opcode.TEXT, b"hello")


class Library(asyncio.Protocol):
    """As much of aiohttp as a doorkeeper sees."""

    def __init__(self) -> None:
        self.shown: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self.shown.append(data)


class Reader:
    """As much of the library's queue of messages: what it was told beside them."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def fail(self, error: ProtocolError) -> None:
        self.told.append(error)

    def end(self) -> None:
        self.told.append("end")


class Transport(asyncio.Transport):
    """As much of a transport."""

    def __init__(self) -> None:
        super().__init__({"socket": SimpleNamespace(fileno=lambda: 7)})
        self.events: list[object] = []
        self.reads = True

    def write(self, data: Any) -> None:
        self.events.append(bytes(data))

    def write_eof(self) -> None:
        self.events.append("eof")

    def is_closing(self) -> bool:
        return "close" in self.events or "abort" in self.events

    def close(self) -> None:
        self.events.append("close")

    def abort(self) -> None:
        self.events.append("abort")

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


class Scene:
    """A doorkeeper between the two; a peer says what is read."""

    def __init__(self, handshake_limit_s: float = 5, stalls: Stalls = NO_STALLS, keep_alive_s: float = 5) -> None:
        clock = Clock("loop")
        limits = [
            "--handshake-limit",
            str(handshake_limit_s),
            "--keep-alive",
            str(keep_alive_s),
            "--close-limit",
            "0.05",
        ]
        config = parse_arguments("asyncio", limits)
        core: ServerCore[Any] = ServerCore(config, clock.now_us(), clock.offset_us)
        core.stalls = stalls
        host: Any = SimpleNamespace(core=core, clock=clock, turns=Turns(clock, core.stalls), config=config)
        self.transport, self.library = Transport(), Library()
        self.reader: Any = Reader()
        self.keeper = Doorkeeper(host, lambda: self.library)
        self.keeper.connection_made(self.transport)

    def say(self, data: bytes) -> None:
        self.keeper.get_buffer(-1)[: len(data)] = data
        self.keeper.buffer_updated(len(data))

    def upgrade(self) -> None:
        self.say(UPGRADE)
        self.keeper.open_websocket(self.reader, FrameWalker(4096))
        self.library.shown.clear()


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 10))


def test_requests_are_shown_one_after_the_other() -> None:
    async def story() -> None:
        scene = Scene()
        scene.say(GET * 3)
        for number in (1, 2, 3):
            await asyncio.sleep(0)
            assert len(scene.library.shown) == number
            scene.keeper.answered()
        await asyncio.sleep(0)
        assert scene.library.shown == [scene.library.shown[0]] * 3

    run(story())


def test_one_who_floods_with_requests_is_read_no_further() -> None:
    async def story() -> None:
        scene = Scene()
        while scene.transport.reads:
            scene.say((GET * 400)[:READ_BYTES])
        assert len(scene.library.shown) == 1

    run(story())


def test_one_who_is_turned_away_is_given_time_to_read_it_and_no_more() -> None:
    async def story() -> None:
        scene = Scene()
        scene.say(b"no request\r\n\r\n")
        answer, *rest = scene.transport.events
        assert isinstance(answer, bytes)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert rest == ["eof"]
        scene.say(b"x" * READ_BYTES)
        assert not scene.transport.reads
        await asyncio.sleep(1.5 * STEP_S)
        assert scene.transport.reads, "or nobody would hear that it has hung up"
        await asyncio.sleep(0.1)
        assert scene.transport.events[-1] == "abort"
        assert scene.library.shown == []

    run(story())


def test_half_a_request_is_hung_up_on_and_one_that_is_answered_is_not() -> None:
    async def story() -> None:
        half, whole = (Scene(handshake_limit_s=0.05, keep_alive_s=0.05) for _ in range(2))
        half.say(GET[:-2])
        whole.say(GET)
        await asyncio.sleep(0.1)
        assert half.transport.events == ["close"]
        assert whole.transport.events == []
        whole.keeper.answered()
        await asyncio.sleep(0.1)
        assert whole.transport.events == ["close"], "it asked for nothing more"

    run(story())


def test_the_next_request_has_its_time_from_its_first_byte() -> None:
    async def story() -> None:
        silent, half, both = (Scene(handshake_limit_s=0.05, keep_alive_s=60) for _ in range(3))
        for scene in (silent, half, both):
            scene.say(GET)
            await asyncio.sleep(0)
        both.say(GET[:-2])
        for scene in (silent, half, both):
            scene.keeper.answered()
        half.say(GET[:-2])
        await asyncio.sleep(0.1)
        assert silent.transport.events == []
        assert half.transport.events == both.transport.events == ["close"]

    run(story())


def test_nobody_is_hung_up_on_when_the_server_was_held_up_before_what_it_said_was_read() -> None:
    async def story() -> None:
        stalls = Stalls(0)  # whose last turn was long ago
        silent, late = (Scene(0.05, stalls) for _ in range(2))
        for scene in (silent, late):
            scene.say(GET[:-2])
        await asyncio.sleep(0.1)
        assert silent.transport.events == []
        late.say(GET[-2:])
        await asyncio.sleep(1.1 * SPARED_S)
        assert silent.transport.events == ["close"]
        assert late.transport.events == []

    run(story())


def test_a_request_of_one_who_says_no_more_is_still_answered() -> None:
    async def story() -> None:
        scene = Scene()
        scene.say(GET)
        assert scene.keeper.eof_received(), "the transport stays open"
        scene.keeper.answered()
        await asyncio.sleep(0)
        assert scene.transport.events == ["close"]

    run(story())


def test_a_message_is_shown_when_it_is_asked_for_and_as_a_whole() -> None:
    async def story() -> None:
        scene = Scene()
        scene.upgrade()
        scene.say(HELLO * 2 + HELLO[:3])
        assert scene.library.shown == []
        for shown in (1, 2, 2):
            scene.keeper.ask_for_message()
            await asyncio.sleep(0)
            assert scene.library.shown == [HELLO] * shown
        scene.say(HELLO[3:])
        assert scene.library.shown == [HELLO] * 3
        scene.say(HELLO)
        await asyncio.sleep(0)
        assert scene.library.shown == [HELLO] * 3, "nobody has asked for another"
        assert scene.reader.told == []

    run(story())


def test_a_turn_has_time_for_few_messages_as_what_is_made_of_them_comes_later() -> None:
    async def story() -> None:
        scene = Scene()
        scene.upgrade()
        scene.say(HELLO * 500)
        shown = -1
        while len(scene.library.shown) > shown:  # in one turn of the event loop
            shown = len(scene.library.shown)
            scene.keeper.ask_for_message()
        assert 1 <= shown <= TURN_US / HANDLE_US
        while len(scene.library.shown) < 500:
            await asyncio.sleep(0)
            scene.keeper.ask_for_message()

    run(story())


def test_one_who_floods_with_messages_is_read_no_further_until_they_are_taken() -> None:
    async def story() -> None:
        scene = Scene()
        scene.upgrade()
        read = 0
        while scene.transport.reads:
            scene.say((HELLO * 2000)[: READ_BYTES - READ_BYTES % len(HELLO)])
            read += READ_BYTES - READ_BYTES % len(HELLO)
        assert read < 3 * READ_BYTES
        while not scene.transport.reads:
            scene.keeper.ask_for_message()
            await asyncio.sleep(0)
        assert len(scene.library.shown) == read // len(HELLO)

    run(story())


def test_what_was_said_before_the_end_is_shown_and_then_the_end_is_told() -> None:
    async def story() -> None:
        scene = Scene()
        scene.upgrade()
        scene.say(HELLO * 2)
        assert scene.keeper.eof_received(), "the transport stays open"
        for _ in range(2):
            assert scene.reader.told == []
            scene.keeper.ask_for_message()
            await asyncio.sleep(0)
        assert scene.library.shown == [HELLO] * 2
        scene.keeper.ask_for_message()
        assert scene.reader.told == ["end"]

    run(story())


@pytest.mark.parametrize("ends", ["half a message", "nothing"])
def test_who_waits_is_told_that_no_more_comes(ends: str) -> None:
    async def story() -> None:
        scene = Scene()
        scene.upgrade()
        scene.keeper.ask_for_message()
        if ends == "half a message":
            scene.say(HELLO[:3])
        scene.keeper.eof_received()
        await asyncio.sleep(0)
        assert scene.reader.told == ["end"]
        assert scene.library.shown == []

    run(story())


def test_who_waits_is_told_of_a_broken_frame_and_of_a_lost_connection() -> None:
    async def story() -> None:
        for say, told in ((True, "ProtocolError"), (False, "str")):
            scene = Scene()
            scene.upgrade()
            scene.keeper.ask_for_message()
            if say:
                scene.say(client_frame(3, b""))
            else:
                scene.keeper.connection_lost(None)
            assert [type(what).__name__ for what in scene.reader.told] == [told]
            scene.keeper.ask_for_message()
            assert len(scene.reader.told) == 1 + say, "and then of the end"

    run(story())


def test_a_lost_connection_is_not_aborted() -> None:
    async def story() -> None:
        scene = Scene()
        scene.upgrade()
        scene.keeper.connection_lost(None)
        scene.keeper.abort()
        assert "abort" not in scene.transport.events

    run(story())


@pytest.mark.parametrize("ends", ["peer", "we"])
def test_an_ended_connection_leaves_no_transport_to_the_garbage_collector(ends: str) -> None:
    async def story() -> None:
        ours, theirs = socket.socketpair()
        host = Scene().keeper._host
        transport, keeper = await asyncio.get_running_loop().connect_accepted_socket(
            lambda: Doorkeeper(host, Library), ours
        )
        ended = weakref.ref(transport)
        gc.disable()
        try:
            if ends == "peer":
                theirs.close()
            else:
                keeper.abort()
            await asyncio.sleep(0.1)
            assert keeper.is_lost
            del keeper, transport
            assert ended() is None
        finally:
            gc.enable()
            theirs.close()

    run(story())
