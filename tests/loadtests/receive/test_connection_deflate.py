"""
Messages that come compressed (RFC 7692): the text counts, the stamp is that of the frame, and so are bytes on the wire.

With contexts each connection inflates its own stream; without, what is read is the same for all, and looked at once.
The server's side is zlib alone.
"""

import socket
import ssl
import threading
import zlib
from collections.abc import Callable

import pytest

from loadtests.receive.arrivals import MAX_MESSAGE_BYTES, Arrivals
from loadtests.receive.endings import Ending, Fate
from tests.support.certificates import Authority
from tests.support.client import PATIENCE_S
from tests.support.scripted_server import (
    TICK,
    WELCOME,
    Listener,
    Script,
    expect_goodbye,
    frame,
    pause,
    servers,
    tick,
    unmasked,
    until,
    until_hung_up,
)
from tests.support.tls_end import server_context

CONTEXTS = "permessage-deflate"
NO_CONTEXTS = "permessage-deflate; server_no_context_takeover"
BOTH = pytest.mark.parametrize("extensions", [CONTEXTS, NO_CONTEXTS])
COMPRESSED = 0xC1


class Compressor:
    """What the server sends to one connection."""

    def __init__(self, extensions: str, bits: int = 15) -> None:
        self.bits = bits
        self.takes_over = extensions == CONTEXTS
        self.stream = zlib.compressobj(wbits=-bits)

    def payload(self, text: bytes) -> bytes:
        if not self.takes_over:
            self.stream = zlib.compressobj(wbits=-self.bits)
        return (self.stream.compress(text) + self.stream.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def frame(self, text: bytes) -> bytes:
        return frame(self.payload(text), COMPRESSED)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return server_context(authority.certify("local", "DNS:localhost"))


def logged(
    writes: Callable[[Compressor], list[bytes]],
    count: int,
    extensions: str,
    *,
    tls: ssl.SSLContext | None = None,
    on_text: Listener | None = None,
) -> Arrivals:
    """Return what came of writes; each is read before the next one."""

    def script(sock: socket.socket) -> None:
        for data in writes(Compressor(extensions)):
            sock.sendall(data)
            pause()
        expect_goodbye(sock)

    with servers(script, extensions=extensions, tls=tls, on_text=on_text) as ((connection,), observer):
        assert connection.open(PATIENCE_S)
        until(lambda: len(observer.log) >= count)
        assert observer.agreements == [extensions]
    assert observer.ends == [(Fate.LEFT, "left")]
    return observer.log.drain()


def ended(writes: Callable[[Compressor], list[bytes]], extensions: str) -> Ending:
    """Return how a connection ends that gets a tick and then ``writes``."""

    def script(sock: socket.socket) -> None:
        compressor = Compressor(extensions)
        for data in [compressor.frame(TICK % 0), compressor.frame(TICK % 1), *writes(compressor)]:
            sock.sendall(data)
            pause()
        until_hung_up(sock)

    with servers(script, extensions=extensions) as ((connection,), observer):
        connection.open(PATIENCE_S)
        connection.wait_end(PATIENCE_S)
    (ending,) = observer.endings
    return ending


@BOTH
@pytest.mark.parametrize("through_tls", [False, True])
def test_ticks_come_as_they_would_without(extensions: str, through_tls: bool, context: ssl.SSLContext) -> None:
    sizes: list[int] = []

    def writes(compressor: Compressor) -> list[bytes]:
        data = [compressor.frame(TICK % n) for n in range(6)]
        sizes.extend(map(len, data))
        return data

    arrivals = logged(writes, 6, extensions, tls=context if through_tls else None)
    assert arrivals.n.tolist() == [0, 1, 2, 3, 4, 5]
    assert arrivals.size_bytes.tolist() == [len(TICK % 0)] * 6
    assert arrivals.wire_bytes.tolist() == sizes
    assert not arrivals.coalesced.any()
    assert not arrivals.slow_parse.any()


@BOTH
def test_what_is_not_compressed_may_come_in_between(extensions: str) -> None:
    def writes(compressor: Compressor) -> list[bytes]:
        made = [compressor.frame(TICK % n) for n in (0, 2, 4)]
        return [made[0], tick(1), made[1], tick(3), made[2]]

    arrivals = logged(writes, 5, extensions)
    assert arrivals.n.tolist() == [0, 1, 2, 3, 4]
    assert arrivals.wire_bytes.tolist()[1::2] == [len(tick(1)), len(tick(3))]


@BOTH
def test_messages_of_every_kind_keep_the_context(extensions: str) -> None:
    sizes: list[int] = []

    def writes(compressor: Compressor) -> list[bytes]:
        data = [compressor.frame(WELCOME), compressor.frame(TICK % 0), compressor.frame(TICK % 1)]
        data.append(frame(compressor.payload(b"\x00\xff"), 0xC2))
        payload = compressor.payload(TICK % 2)
        data += [frame(payload[:2], 0x41), frame(payload[2:5], 0x00), b"\x8a\x01p", frame(payload[5:], 0x80)]
        sizes.append(len(payload) + 6)
        return [*data, compressor.frame(TICK % 3), compressor.frame(b"[]"), compressor.frame(TICK % 4)]

    arrivals = logged(writes, 5, extensions)
    assert arrivals.n.tolist() == [0, 1, 2, 3, 4]
    assert arrivals.wire_bytes[2] == sizes[0]


@BOTH
def test_what_came_in_one_read_is_coalesced(extensions: str) -> None:
    def writes(compressor: Compressor) -> list[bytes]:
        made = [compressor.frame(TICK % n) for n in range(6)]
        return [made[0], made[1], made[2] + made[3], made[4][:5], made[4][5:] + made[5]]

    arrivals = logged(writes, 6, extensions)
    assert arrivals.n.tolist() == [0, 1, 2, 3, 4, 5]
    assert arrivals.coalesced.tolist() == [False, False, True, False, True, False]


@BOTH
def test_a_listener_hears_the_text(extensions: str) -> None:
    heard: list[tuple[int, bytes]] = []
    logged(
        lambda compressor: [compressor.frame(TICK % n) for n in range(4)],
        4,
        extensions,
        on_text=lambda n, text, _: heard.append((n, text)),
    )
    assert heard == [(n, TICK % n) for n in range(4)]


@BOTH
def test_connections_that_get_the_same_text_share_it(extensions: str) -> None:
    turn = [threading.Event() for _ in range(3)]

    def script(sock: socket.socket) -> None:
        compressor = Compressor(extensions)
        for n, event in enumerate(turn):
            assert event.wait(PATIENCE_S)
            sock.sendall(compressor.frame(TICK % n))
        expect_goodbye(sock)

    turn[0].set()
    with servers(script, script, extensions=extensions) as (connections, observer):
        assert all(connection.open(PATIENCE_S) for connection in connections)
        for n in (1, 2):
            turn[n].set()
            until(lambda: len(observer.log) == 2 * (n + 1))  # noqa: B023 - it is called at once
    arrivals = observer.log.drain()
    assert arrivals.n.tolist() == [0, 0, 1, 1, 2, 2]
    assert arrivals.frame[2] == arrivals.frame[3]
    assert arrivals.frame[4] == arrivals.frame[5]
    assert len(observer.log.steps.digests) == 3
    assert observer.log.steps.conflicting == 0


def test_those_who_agreed_on_other_things_do_not_mix() -> None:
    """A read of one could be equal to a read of the other, and say something else."""

    def script_of(first: int) -> Script:
        def script(sock: socket.socket) -> None:
            for n in range(first, first + 3):
                sock.sendall(Compressor(NO_CONTEXTS).frame(TICK % n) if first else tick(n))
                pause()
            expect_goodbye(sock)

        return script

    with servers(script_of(5), extensions=NO_CONTEXTS) as ((connection,), observer):
        assert connection.open(PATIENCE_S)
        until(lambda: len(observer.log) == 3)
        assert observer.log.latest("main").size == -1, "nobody there agreed on nothing"
    assert observer.log.drain().n.tolist() == [5, 6, 7]


@BOTH
def test_while_leaving_all_is_inflated(extensions: str) -> None:
    """With contexts what is left out would be missed by what follows."""

    def script(sock: socket.socket) -> None:
        compressor = Compressor(extensions)
        sock.sendall(compressor.frame(TICK % 0))
        assert unmasked(sock)[0] == 8
        for n in (1, 2):
            sock.sendall(compressor.frame(TICK % n))
        sock.sendall(b"\x88\x02\x03\xe8")

    with servers(script, extensions=extensions) as ((connection,), observer):
        assert connection.open(PATIENCE_S)
        connection.close()
    assert observer.log.drain().n.tolist() == [0, 1, 2]
    (ending,) = observer.endings
    assert (ending.fate, ending.complete, ending.broke_protocol) == (Fate.LEFT, True, False)


@pytest.mark.parametrize("bits", [9, 15])
def test_a_smaller_window(bits: int) -> None:
    extensions = f"permessage-deflate; server_max_window_bits={bits}"

    def script(sock: socket.socket) -> None:
        compressor = Compressor(CONTEXTS, bits)
        for n in range(4):
            sock.sendall(compressor.frame((TICK % n)[:-2] + b',["pad","' + b"x" * 5000 + b'"]]]'))
            pause()
        expect_goodbye(sock)

    with servers(script, extensions=extensions) as ((connection,), observer):
        assert connection.open(PATIENCE_S)
        until(lambda: len(observer.log) == 4)
    assert observer.log.drain().n.tolist() == [0, 1, 2, 3]


# What ends a connection


@BOTH
def test_a_bomb_ends_its_connection(extensions: str) -> None:
    ending = ended(lambda compressor: [compressor.frame(bytes(MAX_MESSAGE_BYTES + 1))], extensions)
    assert ending.fate is Fate.CLOSED_EARLY
    assert ending.why == f"a message inflates to more than {MAX_MESSAGE_BYTES} bytes"
    assert ending.broke_protocol


@BOTH
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (frame(b"\xff\xff\xff", COMPRESSED), "a message can't be inflated"),
        (frame(b"\xff\xff\xff" * 60, COMPRESSED), "a message can't be inflated"),
        (frame(b"x", 0xC9), "a frame with reserved bits"),
        (frame(b"x", 0xA1), "a frame with reserved bits"),
        (frame(b"x", 0x01) + frame(b"x", 0xC0), "a frame with reserved bits"),
    ],
)
def test_what_is_wrong_ends_its_connection(extensions: str, data: bytes, why: str) -> None:
    ending = ended(lambda _: [data], extensions)
    assert (ending.fate, ending.why, ending.broke_protocol) == (Fate.CLOSED_EARLY, why, True)


@BOTH
def test_a_text_that_is_not_utf8_is_an_error_however_it_came(extensions: str) -> None:
    ending = ended(lambda compressor: [compressor.frame((TICK % 1)[:-3] + b"\xff]]")], extensions)
    assert (ending.why, ending.broke_protocol) == ("a text that is not UTF-8", True)
