"""A connection against a scripted server: whatever it sends, frames are logged or the end has a reason."""

import base64
import errno
import fcntl
import hashlib
import os
import socket
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import gevent
import pytest

from loadtests.arrivals import ArrivalLog, Arrivals
from loadtests.client import Connection, reason_of
from loadtests.frames import MAX_MESSAGE_BYTES
from loadtests.stamps import NO_STAMPS_VARIABLE
from loadtests.target import parse_target
from loadtests.witness import Ending, Fate

PATIENCE_S = 10.0
TICK = b'[["tick",%d,1700000000000000,1700000000000100],["pad","' + b"." * 100 + b'"]]'
WELCOME = b'[["handshake","load0",1],["world",[[[" ",0]]]],["top_scores",[]]]'
GOODBYE = (8, b"\x03\xe8")
UNDER_TEST: list[Connection] = []

Script = Callable[[socket.socket], None]
Listener = Callable[[int, bytes, int], None]


@dataclass
class Witnessed:
    """Who is told what becomes of connections, and remembers."""

    log: ArrivalLog = field(default_factory=ArrivalLog)
    welcomes: list[tuple[int, int]] = field(default_factory=list)
    first_ticks: list[int] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    errors: list[tuple[int, str]] = field(default_factory=list)
    pongs: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def ends(self) -> list[tuple[Fate, str]]:
        return [(ending.fate, ending.why) for ending in self.endings]

    def entered(self, index: int, arrival_us: int) -> None:
        self.welcomes.append((index, arrival_us))

    def connected(self, index: int, started_us: int, arrival_us: int) -> None:
        assert arrival_us >= started_us
        self.first_ticks.append(index)

    def ended(self, index: int, ending: Ending) -> None:
        assert index >= 0
        assert ending.at_us > 0
        self.endings.append(ending)

    def told(self, index: int, error: str) -> None:
        self.errors.append((index, error))

    def ponged(self, sent_us: int, server_us: int, arrival_us: int) -> None:
        self.pongs.append((sent_us, server_us, arrival_us))


def frame(payload: bytes, first: int = 0x81) -> bytes:
    if len(payload) < 126:
        return bytes((first, len(payload))) + payload
    if len(payload) < 65536:
        return bytes((first, 126)) + len(payload).to_bytes(2, "big") + payload
    return bytes((first, 127)) + len(payload).to_bytes(8, "big") + payload


def tick(n: int) -> bytes:
    return frame(TICK % n)


def shake_hands(sock: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(4096)
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")


def unmasked(sock: socket.socket) -> tuple[int, bytes]:
    """Read one frame of the client's, at most 125 bytes long."""
    data = b""
    while len(data) < 6 or len(data) < 6 + (data[1] & 0x7F):
        data += sock.recv(6 + (data[1] & 0x7F) - len(data) if len(data) >= 6 else 6 - len(data)) or pytest.fail("EOF")
    assert data[1] & 0x80, "a client masks its frames"
    return data[0] & 0x0F, bytes(byte ^ data[2 + i % 4] for i, byte in enumerate(data[6:]))


def pause() -> None:
    """Wait until the connections under test have read all that was sent: two writes could become one read."""
    time.sleep(0.005)
    deadline = time.monotonic() + PATIENCE_S
    while any(unread_bytes(connection) for connection in UNDER_TEST) and time.monotonic() < deadline:
        time.sleep(0.001)


def unread_bytes(connection: Connection) -> int:
    sock = connection._socket
    if sock is None:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)
    except (OSError, ValueError):
        return 0  # it was closed just now


@contextmanager
def servers(
    *scripts: Script, rooms: tuple[str, ...] = ("main",) * 9, on_text: Listener | None = None
) -> Iterator[tuple[list[Connection], Witnessed]]:
    """Serve a connection each in a thread, in order of coming; a script goes on where the first message was read."""
    failures: list[BaseException] = []

    def serve(script: Script) -> None:
        try:
            sock, _ = listener.accept()
            served.release()
            with sock:
                sock.settimeout(PATIENCE_S)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                shake_hands(sock)
                assert unmasked(sock) == (1, b'["new_player","load0"]')
                script(sock)
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the test
            failures.append(error)

    def serve_all() -> None:
        for script in scripts:
            threads.append(threading.Thread(target=serve, args=(script,)))
            threads[-1].start()
            served.acquire(timeout=PATIENCE_S)

    served = threading.Semaphore(0)
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        port = listener.getsockname()[1]
        doorman = threading.Thread(target=serve_all)
        doorman.start()
        witness = Witnessed()
        target, address = parse_target(f"ws://127.0.0.1:{port}"), (socket.AF_INET, ("127.0.0.1", port))
        greeting = b'["new_player","load0"]'
        connections = [
            Connection(target, address, index, witness, lambda: greeting, witness.log.latest(room), on_text)
            for index, (_, room) in enumerate(zip(scripts, rooms, strict=False))
        ]
        UNDER_TEST.extend(connections)
        try:
            yield connections, witness
        finally:
            for connection in connections:
                connection.close()
            UNDER_TEST.clear()
            for thread in [doorman, *threads]:
                thread.join(PATIENCE_S)
    assert not failures, failures


@contextmanager
def server(script: Script, on_text: Listener | None = None) -> Iterator[tuple[Connection, Witnessed]]:
    """Serve one connection."""
    with servers(script, on_text=on_text) as ((connection,), witness):
        yield connection, witness


def until(condition: Callable[[], object]) -> None:
    """Let the hub work until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        gevent.sleep(0.005)


def logged(script: Script, count: int) -> Arrivals:
    """Return what a connection logged whose server sends ``count`` tick frames by ``script``."""
    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        until(lambda: len(witness.log) >= count)
        assert witness.first_ticks == [0]
        assert connection.ticking
        assert not connection.is_over
    assert connection.is_over
    assert not connection.ticking
    assert witness.ends == [(Fate.LEFT, "left")]
    assert len(witness.log) == count
    return witness.log.drain()


def expect_goodbye(sock: socket.socket) -> None:
    assert unmasked(sock) == GOODBYE
    sock.sendall(b"\x88\x02\x03\xe8")


# Frames


def test_one_frame_after_the_other() -> None:
    def script(sock: socket.socket) -> None:
        before_us = time.time_ns() // 1000
        for n in range(3):
            sock.sendall(tick(n))
            pause()
        times.extend((before_us, time.time_ns() // 1000))
        expect_goodbye(sock)

    times: list[int] = []
    arrivals = logged(script, 3)
    assert arrivals.n.tolist() == [0, 1, 2]
    assert arrivals.due_us.tolist() == [1700000000000000] * 3
    assert arrivals.sent_us.tolist() == [1700000000000100] * 3
    assert arrivals.size_bytes.tolist() == [len(TICK % 0)] * 3
    assert not arrivals.coalesced.any()
    assert not arrivals.slow_parse.any()
    assert all(times[0] <= arrival_us <= times[1] for arrival_us in arrivals.arrival_us.tolist())


def test_the_time_of_a_frame_is_when_it_came_and_not_when_it_was_read() -> None:
    came = threading.Event()

    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        sock.sendall(tick(1))
        times.append(time.time_ns() // 1000)
        came.set()
        expect_goodbye(sock)

    times: list[int] = []
    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        assert came.wait(PATIENCE_S), "the hub does nothing meanwhile"
        time.sleep(0.1)
        until(lambda: len(witness.log) == 2)
    arrivals = witness.log.drain()
    if arrivals.unstamped.any():
        pytest.skip("the kernel stamps nothing here")
    assert arrivals.arrival_us[1] <= times[0]


def test_without_stamps_the_time_is_that_of_the_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NO_STAMPS_VARIABLE, "1")

    def script(sock: socket.socket) -> None:
        for n in range(3):
            sock.sendall(tick(n))
            pause()
        expect_goodbye(sock)

    before_us = time.time_ns() // 1000
    arrivals = logged(script, 3)
    assert arrivals.unstamped.all()
    assert arrivals.n.tolist() == [0, 1, 2]
    assert all(before_us <= arrival_us <= time.time_ns() // 1000 for arrival_us in arrivals.arrival_us.tolist())


def test_frames_in_pieces_in_fragments_and_together() -> None:
    def script(sock: socket.socket) -> None:
        stream = frame(WELCOME) + b"".join(tick(n) for n in range(5))
        fragments = frame(TICK[:50] % 5, 0x01) + frame(b"", 0x89) + frame(TICK[50:], 0x80)
        for part in (stream[:7], stream[7:300], stream[300:], fragments[:30], fragments[30:], tick(6)):
            sock.sendall(part)
            pause()
        assert unmasked(sock) == (10, b"")
        expect_goodbye(sock)

    arrivals = logged(script, 7)
    assert arrivals.n.tolist() == list(range(7))
    assert arrivals.coalesced.any()
    assert not arrivals.coalesced[-1]


def test_of_frames_in_one_read_only_the_last_has_an_exact_time() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        sock.sendall(tick(1) + tick(1) + tick(2))
        pause()
        sock.sendall(tick(3) + frame(b"", 0x8A))
        expect_goodbye(sock)

    arrivals = logged(script, 5)
    assert arrivals.n.tolist() == [0, 1, 1, 2, 3]
    assert arrivals.coalesced.tolist() == [False, True, True, False, True]
    assert arrivals.frame[1] == arrivals.frame[2], "known by its text"


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 60, 100])
def test_a_frame_may_be_cut_anywhere(cut: int) -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        sock.sendall(tick(1)[:cut])
        pause()
        sock.sendall(tick(1)[cut:] + tick(2)[:cut])
        pause()
        sock.sendall(tick(2)[cut:])
        expect_goodbye(sock)

    arrivals = logged(script, 3)
    assert arrivals.n.tolist() == [0, 1, 2]
    assert arrivals.coalesced.tolist() == [False, True, False]


def test_a_head_with_white_space_is_parsed_slowly() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        for _ in range(2):
            sock.sendall(frame(b'[ ["tick", 1, 1700000000000000, 1700000000000100] ]'))
            pause()
        expect_goodbye(sock)

    arrivals = logged(script, 3)
    assert arrivals.n.tolist() == [0, 1, 1]
    assert arrivals.slow_parse.tolist() == [False, True, True]


@pytest.mark.parametrize("size", [65_535, 65_536, 3_000_000, MAX_MESSAGE_BYTES])
def test_large_frames(size: int) -> None:
    head = b'[["tick",1,1700000000000000,1700000000000100],["pad","'
    large = head + b"." * (size - len(head) - 3) + b'"]]'

    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        sock.sendall(frame(large) + tick(2))
        expect_goodbye(sock)

    arrivals = logged(script, 3)
    assert arrivals.n.tolist() == [0, 1, 2]
    assert arrivals.size_bytes.tolist() == [len(TICK % 0), size, len(TICK % 2)]


# Equal reads


def test_connections_that_read_the_same_frame_share_it() -> None:
    turn = [threading.Event() for _ in range(3)]

    def script(sock: socket.socket) -> None:
        for n, event in enumerate(turn):
            assert event.wait(PATIENCE_S)
            sock.sendall(tick(n))
        expect_goodbye(sock)

    turn[0].set()
    with servers(script, script) as (connections, witness):
        assert all(connection.open(PATIENCE_S) for connection in connections)
        for n in (1, 2):
            turn[n].set()
            until(lambda: len(witness.log) == 2 * (n + 1))  # noqa: B023 - it is called at once
    arrivals = witness.log.drain()
    if arrivals.unstamped.any():
        pytest.skip("without stamps every read is parsed")
    assert arrivals.n.tolist() == [0, 0, 1, 1, 2, 2]
    assert sorted(arrivals.connection[-2:].tolist()) == [0, 1]
    assert arrivals.frame[2] == arrivals.frame[3]
    assert arrivals.frame[4] == arrivals.frame[5]
    assert len({*arrivals.frame.tolist()[2:]}) == 2


def test_rooms_do_not_mix() -> None:
    def script_of(first: int) -> Script:
        def script(sock: socket.socket) -> None:
            for n in range(first, first + 4):
                sock.sendall(tick(n))
                pause()
            expect_goodbye(sock)

        return script

    with servers(script_of(0), script_of(5), rooms=("main", "r1")) as (connections, witness):
        assert all(connection.open(PATIENCE_S) for connection in connections)
        until(lambda: len(witness.log) == 8)
    arrivals = witness.log.drain()
    for index, first in ((0, 0), (1, 5)):
        assert arrivals.n[arrivals.connection == index].tolist() == list(range(first, first + 4))


def test_reads_are_equal_only_to_the_last_byte() -> None:
    same = tick(1)
    other = same[:-1] + b"}"

    def script(sock: socket.socket) -> None:
        for data in (tick(0), same, same, other, same, other, other):
            sock.sendall(data)
            pause()
        expect_goodbye(sock)

    arrivals = logged(script, 7)
    if arrivals.unstamped.any():
        pytest.skip("without stamps every read is parsed")
    assert arrivals.n.tolist() == [0, 1, 1, 1, 1, 1, 1]
    _, first, equal, different, back, other_again, equal_again = arrivals.frame.tolist()
    assert first == equal
    assert len({first, different}) == len({different, back}) == len({back, other_again}) == 2
    assert other_again == equal_again


def test_equal_but_for_a_last_byte_that_is_no_utf8_is_an_error() -> None:
    def script(sock: socket.socket) -> None:
        for data in (tick(0), tick(1), tick(1), tick(1)[:-1] + b"\xff"):
            sock.sendall(data)
            pause()
        while sock.recv(4096):
            pass

    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        connection.wait_end(PATIENCE_S)
        assert len(witness.log) == 3
    assert witness.ends == [(Fate.CLOSED_EARLY, "a text that is not UTF-8")]
    assert witness.endings[0].broke_protocol


def test_a_long_read_that_begins_like_the_latest_is_two_frames() -> None:
    def script(sock: socket.socket) -> None:
        for data in (tick(0), tick(1), tick(1) + tick(2), tick(1)[:-3], tick(1)[-3:]):
            sock.sendall(data)
            pause()
        expect_goodbye(sock)

    assert logged(script, 5).n.tolist() == [0, 1, 1, 2, 1]


def test_in_the_middle_of_a_message_a_read_that_looks_like_a_tick_is_none() -> None:
    def script(sock: socket.socket) -> None:
        for data in (tick(0), tick(1), frame(b"[", 0x01)):
            sock.sendall(data)
            pause()
        sock.sendall(tick(1))
        while sock.recv(4096):
            pass

    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        connection.wait_end(PATIENCE_S)
        assert len(witness.log) == 2
    assert witness.ends == [(Fate.CLOSED_EARLY, "a message inside another")]


# Messages


def test_pings_pongs_and_errors_are_told() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        opcode, text = unmasked(sock)
        assert opcode == 1
        assert text.startswith(b'["ping",')
        sock.sendall(frame(b'[["pong",' + text[8:-1] + b",1700000000000000]]"))
        sock.sendall(frame(b'[["error","Maximum players reached"]]') + frame(b"binary", 0x82) + frame(b"", 0x8A))
        sock.sendall(frame(b"hello", 0x89))
        assert unmasked(sock) == (10, b"hello")
        expect_goodbye(sock)

    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        before_us = time.time_ns() // 1000
        connection.ping()
        until(lambda: witness.pongs and witness.errors)
        gevent.sleep(0.05)
    ((sent_us, server_us, arrival_us),) = witness.pongs
    assert before_us <= sent_us <= arrival_us <= time.time_ns() // 1000
    assert server_us == 1700000000000000
    assert witness.errors == [(0, "Maximum players reached")]


def test_the_welcome_is_told_before_the_first_tick() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(frame(WELCOME))
        pause()
        times.append(time.time_ns() // 1000)
        sock.sendall(frame(b'[["world",[]]]') + tick(0))
        expect_goodbye(sock)

    times: list[int] = []
    with server(script) as (connection, witness):
        before_us = time.time_ns() // 1000
        assert connection.open(PATIENCE_S)
        ((index, arrival_us),) = witness.welcomes
    assert index == 0
    assert before_us <= arrival_us <= times[0]


def test_odd_commands_are_no_fault() -> None:
    odd = (
        b"[]",
        b"[[]]",
        b'[["tick"]]',
        b'[["tick",1e300,2,3]]',
        b'[["tick",99999999999999999999,1,2]]',
        b'[["tick",-1,1,2]]',
        b'[["tick",1,1,99999999999999999999]]',
        b'[["pong",1]]',
        b'[["pong",99999999999999999999,1]]',
        b'[["error",1]]',
        b'[["later"]]',
    )

    def script(sock: socket.socket) -> None:
        for text in odd:
            sock.sendall(frame(text))
        sock.sendall(tick(0))
        expect_goodbye(sock)

    assert logged(script, 1).n.tolist() == [0]


def test_messages_are_handed_on_when_somebody_listens() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(frame(WELCOME) + tick(3))
        pause()
        for _ in range(2):  # the second is known
            sock.sendall(tick(4))
            pause()
        expect_goodbye(sock)

    heard: list[tuple[int, bytes, int]] = []
    with server(script, lambda *message: heard.append(message)) as (connection, _):
        before_us = time.time_ns() // 1000
        assert connection.open(PATIENCE_S)
        until(lambda: len(heard) == 4)
    assert [message[:2] for message in heard] == [(-1, WELCOME), (3, TICK % 3), (4, TICK % 4), (4, TICK % 4)]
    assert all(before_us <= arrival_us <= time.time_ns() // 1000 for _, _, arrival_us in heard)


# Ends


def ended(first: bytes, data: bytes) -> tuple[Ending, bool]:
    """Return how a connection ends whose server sends this, and whether it had been ticking."""

    def script(sock: socket.socket) -> None:
        if first:
            sock.sendall(first)
            pause()
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(4096):
            pass

    with server(script) as (connection, witness):
        was_open = connection.open(PATIENCE_S)
        connection.wait_end(PATIENCE_S)
        assert connection.is_over
        assert not connection.ticking
        connection.send_text(b"nobody hears that")
        connection.stop_reading()
        connection.read_on()
    (ending,) = witness.endings
    return ending, was_open


@pytest.mark.parametrize(
    ("data", "why", "code"),
    [
        (b"\x88\x02\x03\xf5", "close 1013", 1013),
        (b"\x88\x05\x03\xf0bye", "close 1008", 1008),
        (b"\x88\x00", "close 1005", 1005),
        (b"", "end of stream without a close frame", None),
        (b"\x81\x7e\x00", "end of stream without a close frame", None),
        (frame(b"x" * 100)[:50], "end of stream without a close frame", None),
    ],
)
def test_every_end_has_a_reason(data: bytes, why: str, code: int | None) -> None:
    for first, fate in ((tick(0), Fate.CLOSED_EARLY), (b"", Fate.REFUSED)):
        ending, was_open = ended(first, data)
        assert was_open is bool(first)
        assert (ending.fate, ending.why, ending.close_code) == (fate, why, code)
        assert not ending.broke_protocol


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x88\x01\x03", "a close frame without a whole code, or a reason that is not UTF-8"),
        (b"\x88\x03\x03\xe8\xff", "a close frame without a whole code, or a reason that is not UTF-8"),
        (b"\x81\x80", "a masked frame"),
        (b"\xf1\x00", "a frame with reserved bits"),
        (b"\x87\x00", "a frame with a reserved opcode"),
        (b"\x89\x7e", "a control frame that is fragmented or over 125 bytes"),
        (b"\x09\x00", "a control frame that is fragmented or over 125 bytes"),
        (b"\x82\x7f\x00\x00\x00\x00\x7f\xff\xff\xff", "a frame of more than 16 MiB"),
        (b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "a frame of more than 16 MiB"),
        (b"\x81\x7f" + (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big"), "a frame of more than 16 MiB"),
        (frame(b"x", 0x80), "a continuation of nothing"),
        (frame(b"not JSON"), "a text that is no array of commands"),
        (frame(b"37"), "a text that is no array of commands"),
        (frame(b'{"tick":1}'), "a text that is no array of commands"),
        (frame(b'[["\xff"]]'), "a text that is not UTF-8"),
        (frame(b'[["handshake","\xff"]]'), "a text that is not UTF-8"),
        (frame(b"[" * 50_000), "a text that is no array of commands"),
        (frame(b"[[" + b"[" * 50_000 + b"]" * 50_000 + b"]]"), "a text that is no array of commands"),
    ],
)
def test_what_breaks_the_protocol_is_named(data: bytes, why: str) -> None:
    for first, fate in ((tick(0), Fate.CLOSED_EARLY), (b"", Fate.REFUSED)):
        ending, _ = ended(first, data)
        assert (ending.fate, ending.why, ending.close_code) == (fate, why, None)
        assert ending.broke_protocol


def test_a_close_frame_is_answered_with_its_code() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        sock.sendall(tick(1) + b"\x88\x05\x03\xf0bye" + tick(2))
        answers.append(unmasked(sock))

    answers: list[tuple[int, bytes]] = []
    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        connection.wait_end(PATIENCE_S)
    assert answers == [(8, b"\x03\xf0")]
    assert witness.log.drain().n.tolist() == [0, 1], "what follows a close frame is none of ours"


def test_a_reset_is_an_early_end() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        connection.wait_end(PATIENCE_S)
    assert witness.ends == [(Fate.CLOSED_EARLY, "connection reset by peer")]


def test_frames_that_come_before_the_end_are_logged() -> None:
    ticks = b"".join(tick(n) for n in range(1, 4))
    for data in (ticks, ticks + b"\x88\x02\x03\xe9", ticks + b"\xff\xff", ticks + tick(4)[:20]):

        def script(sock: socket.socket, data: bytes = data) -> None:
            sock.sendall(tick(0))
            pause()
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass

        with server(script) as (connection, witness):
            assert connection.open(PATIENCE_S)
            connection.wait_end(PATIENCE_S)
        assert witness.log.drain().n.tolist() == [0, 1, 2, 3]


def test_what_is_on_its_way_when_we_leave_is_logged() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        pause()
        assert unmasked(sock) == GOODBYE
        sock.sendall(tick(1))
        pause()
        sock.sendall(frame(b"are you there", 0x89) + tick(2) + tick(3))
        pause()
        sock.sendall(b"\x88\x02\x03\xe8")
        assert sock.recv(100) == b"", "nothing may follow a close frame"

    heard: list[int] = []
    with server(script, lambda n, *_: heard.append(n)) as (connection, witness):
        assert connection.open(PATIENCE_S)
        before_us = time.time_ns() // 1000
        connection.close()
        assert connection.is_over
        assert not connection.ticking
    assert witness.log.drain().n.tolist() == [0, 1, 2, 3]
    assert heard == [0], "nobody listens any more"
    (ending,) = witness.endings
    assert (ending.fate, ending.why, ending.complete, ending.close_code) == (Fate.LEFT, "left", True, None)
    assert before_us <= ending.at_us <= time.time_ns() // 1000


def test_a_goodbye_that_is_not_answered_leaves_it_open_what_was_sent() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        assert unmasked(sock) == GOODBYE

    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        connection.close()
        connection.close()
    assert witness.ends == [(Fate.LEFT, "left")]
    assert not witness.endings[0].complete


def test_who_never_says_goodbye_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtests.client.CLOSE_TIMEOUT_S", 0.05)
    done = threading.Event()

    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        assert done.wait(PATIENCE_S)

    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        connection.close()
        assert connection.is_over
        done.set()
    assert witness.ends == [(Fate.LEFT, "left")]
    assert not witness.endings[0].complete


def test_an_error_while_we_leave_is_named() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        assert unmasked(sock) == GOODBYE
        sock.sendall(b"\x81\x80")
        while sock.recv(4096):
            pass

    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        connection.close()
    assert witness.ends == [(Fate.LEFT, "a masked frame")]
    assert witness.endings[0].broke_protocol
    assert not witness.endings[0].complete


def test_who_stops_reading_takes_nothing_until_it_reads_on() -> None:
    sent = threading.Event()

    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        assert unmasked(sock) == (1, b"now")
        for n in range(1, 4):
            sock.sendall(tick(n))
            time.sleep(0.005)
        times.append(time.time_ns() // 1000)
        sent.set()
        expect_goodbye(sock)

    times: list[int] = []
    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        connection.stop_reading()
        connection.send_text(b"now")
        until(sent.is_set)
        gevent.sleep(0.05)
        assert len(witness.log) == 1
        assert connection.ticking
        connection.read_on()
        until(lambda: len(witness.log) == 4)
    arrivals = witness.log.drain()
    assert arrivals.n.tolist() == [0, 1, 2, 3]
    assert arrivals.coalesced.tolist() == [False, True, True, False]
    if not arrivals.unstamped.any():
        assert arrivals.arrival_us[-1] <= times[0], "it came while we did not read"


# Beginnings


def test_a_server_that_sends_no_tick_is_given_up() -> None:
    def script(sock: socket.socket) -> None:
        while sock.recv(4096):
            pass

    with server(script) as (connection, witness):
        assert not connection.open(0.2)
        assert connection.is_over
    assert witness.ends == [(Fate.TIMED_OUT, "no tick frame in time")]


def unserved(answer: bytes | None) -> list[Ending]:
    """Return how a connection ends that gets no handshake but ``answer``; None if nobody is there."""

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(PATIENCE_S)
            sock.recv(4096)
            sock.sendall(answer or b"")

    witness = Witnessed()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        port = listener.getsockname()[1]
        target = parse_target(f"ws://127.0.0.1:{port}")
        address = (socket.AF_INET, ("127.0.0.1", port))
        connection = Connection(target, address, 0, witness, bytes, witness.log.latest("main"))
        if answer is None:
            listener.close()
            assert not connection.open(PATIENCE_S)
        else:
            thread = threading.Thread(target=serve)
            thread.start()
            assert not connection.open(PATIENCE_S)
            thread.join(PATIENCE_S)
    assert connection.is_over
    return witness.endings


def test_nobody_listens() -> None:
    (ending,) = unserved(None)
    assert (ending.fate, ending.why, ending.broke_protocol) == (Fate.REFUSED, "connection refused", False)


@pytest.mark.parametrize(
    ("answer", "why", "broke_protocol"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP status 503", False),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the answer to the handshake is not HTTP", True),
        (b"HTTP/1.1 101 X\r\n\r\n", "the answer to the handshake has a wrong Sec-WebSocket-Accept", True),
        (b"HTTP/1.1\r\n\r\n", "the answer to the handshake has no HTTP status", True),
        (b"HTTP/1.1 101 X\r\n" + b"x" * 20_000, "the head of the answer to the handshake does not end", True),
        (b"", "end of stream without a close frame", False),
        (b"HTTP/1.1 10", "end of stream without a close frame", False),
    ],
)
def test_no_handshake(answer: bytes, why: str, *, broke_protocol: bool) -> None:
    (ending,) = unserved(answer)
    assert (ending.fate, ending.why, ending.broke_protocol) == (Fate.REFUSED, why, broke_protocol)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EADDRNOTAVAIL])
def test_our_own_limits_are_told_apart(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_left(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("loadtests.client._socket.socket", nothing_left)
    witness = Witnessed()
    target = parse_target("ws://127.0.0.1:9")
    address = (socket.AF_INET, ("127.0.0.1", 9))
    connection = Connection(target, address, 0, witness, bytes, witness.log.latest("main"))
    assert not connection.open(PATIENCE_S)
    assert witness.ends == [(Fate.OWN_LIMIT, os.strerror(number).lower())]


# Sending


def test_a_server_that_does_not_read_is_given_up() -> None:
    done = threading.Event()

    def script(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(tick(0))
        assert done.wait(PATIENCE_S)

    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        for _ in range(20_000):
            connection.send_text(b"x" * 1000)
            if witness.ends:
                break
        done.set()
    assert witness.ends == [(Fate.CLOSED_EARLY, "the server does not read")]


def test_what_could_not_be_sent_at_once_is_sent_later() -> None:
    sizes: list[int] = []

    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        time.sleep(0.1)
        while (opcode := (frame := unmasked(sock))[0]) == 1:
            sizes.append(len(frame[1]))
        assert opcode == 8
        sock.sendall(b"\x88\x02\x03\xe8")

    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        count = 0
        while not connection._unsent and not witness.ends:
            connection.send_text(b"y" * 100)
            count += 1
        until(lambda: not connection._unsent)
    assert sizes == [100] * count


def test_who_leaves_says_nothing_more() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        assert unmasked(sock) == GOODBYE
        pause()
        sock.sendall(b"\x88\x02\x03\xe8")
        assert sock.recv(100) == b""

    with server(script) as (connection, _):
        assert connection.open(PATIENCE_S)
        leaving = gevent.spawn(connection.close)
        gevent.sleep(0)
        connection.send_text(b"wait")
        connection.ping()
        leaving.join(PATIENCE_S)
        assert connection.is_over


def test_reasons_can_be_counted() -> None:
    assert reason_of(ConnectionResetError(104, "x")) == "connection reset by peer"
    assert reason_of(OSError("odd")) == "odd"
