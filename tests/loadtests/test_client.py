"""A connection against a scripted server: whatever it sends, frames are logged or the end has a reason."""

import base64
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import gevent
import pytest

from loadtests.arrivals import ArrivalLog
from loadtests.client import Connection, reason_of
from loadtests.target import parse_target
from loadtests.witness import Fate

PATIENCE_S = 10.0
TICK = b'[["tick",%d,1700000000000000,1700000000000100],["pad","' + b"." * 100 + b'"]]'
WELCOME = b'[["handshake","load0",1],["world",[[[" ",0]]]],["top_scores",[]]]'

Script = Callable[[socket.socket], None]


@dataclass
class Witnessed:
    """Who is told what becomes of a connection, and remembers."""

    log: ArrivalLog = field(default_factory=ArrivalLog)
    first_ticks: list[int] = field(default_factory=list)
    ends: list[tuple[Fate, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    rtts: list[int] = field(default_factory=list)

    def connected(self, index: int, started_us: int, arrival_us: int) -> None:
        assert arrival_us >= started_us
        self.first_ticks.append(index)

    def ended(self, index: int, at_us: int, fate: Fate, why: str) -> None:
        assert index == 0
        assert at_us > 0
        self.ends.append((fate, why))

    def told(self, error: str) -> None:
        self.errors.append(error)

    def ponged(self, rtt_us: int) -> None:
        self.rtts.append(rtt_us)


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
    """Read one frame of the client's."""
    data = b""
    while len(data) < 6 or len(data) < 6 + (data[1] & 0x7F):
        data += sock.recv(6 + (data[1] & 0x7F) - len(data) if len(data) >= 6 else 6 - len(data)) or pytest.fail("EOF")
    assert data[1] & 0x80, "a client masks its frames"
    return data[0] & 0x0F, bytes(byte ^ data[2 + i % 4] for i, byte in enumerate(data[6:]))


@contextmanager
def server(script: Script) -> Iterator[tuple[Connection, Witnessed]]:
    """Serve one connection in a thread; ``script`` goes on where the first message was read."""
    failures: list[BaseException] = []

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(PATIENCE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                shake_hands(sock)
                assert unmasked(sock) == (1, b'["new_player","load0"]')
                script(sock)
            except BaseException as error:  # noqa: BLE001 - it is raised again, in the test
                failures.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=serve)
        thread.start()
        witness = Witnessed()
        address = (socket.AF_INET, ("127.0.0.1", port))
        connection = Connection(parse_target(f"ws://127.0.0.1:{port}"), address, 0, "load0", witness)
        try:
            yield connection, witness
        finally:
            connection.close()
            thread.join(PATIENCE_S)
    assert not failures, failures


def until(condition: Callable[[], object]) -> None:
    """Let the hub work until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        gevent.sleep(0.005)


def logged(script: Script, count: int) -> ArrivalLog:
    """Return the log of a connection whose server sends ``count`` tick frames by ``script``."""
    with server(script) as (connection, witness):
        assert connection.open(PATIENCE_S)
        until(lambda: len(witness.log) >= count)
        assert witness.first_ticks == [0]
        assert connection.ticking
    assert witness.ends == [(Fate.LEFT, "left")]
    assert len(witness.log) == count
    return witness.log


def expect_goodbye(sock: socket.socket) -> None:
    assert unmasked(sock) == (8, b"\x03\xe8")
    sock.sendall(b"\x88\x02\x03\xe8")


def test_one_frame_after_the_other() -> None:
    def script(sock: socket.socket) -> None:
        before_us = time.time_ns() // 1000
        for n in range(3):
            sock.sendall(tick(n))
            time.sleep(0.02)
        times.extend((before_us, time.time_ns() // 1000))
        expect_goodbye(sock)

    times: list[int] = []
    arrivals = logged(script, 3).drain()
    assert arrivals.n.tolist() == [0, 1, 2]
    assert arrivals.due_us.tolist() == [1700000000000000] * 3
    assert arrivals.sent_us.tolist() == [1700000000000100] * 3
    assert arrivals.size_bytes.tolist() == [len(TICK % 0)] * 3
    assert all(times[0] <= arrival_us <= times[1] for arrival_us in arrivals.arrival_us.tolist())


def test_frames_in_pieces_in_fragments_and_together() -> None:
    def script(sock: socket.socket) -> None:
        stream = frame(WELCOME) + b"".join(tick(n) for n in range(5))
        fragments = frame(TICK[:50] % 5, 0x01) + frame(b"", 0x89) + frame(TICK[50:], 0x80)
        for part in (stream[:7], stream[7:300], stream[300:], fragments[:30], fragments[30:], tick(6)):
            sock.sendall(part)
            time.sleep(0.02)
        assert unmasked(sock) == (10, b"")
        expect_goodbye(sock)

    arrivals = logged(script, 7).drain()
    assert arrivals.n.tolist() == list(range(7))
    assert arrivals.coalesced.any()
    assert not arrivals.coalesced[-1]


def test_a_head_with_white_space_is_parsed_slowly() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        time.sleep(0.02)
        sock.sendall(frame(b'[ ["tick", 1, 1700000000000000, 1700000000000100] ]'))
        expect_goodbye(sock)

    arrivals = logged(script, 2).drain()
    assert arrivals.n.tolist() == [0, 1]
    assert arrivals.slow_parse.tolist() == [False, True]


def test_large_frames() -> None:
    large = b'[["tick",1,1700000000000000,1700000000000100],["pad","' + b"." * 3_000_000 + b'"]]'

    def script(sock: socket.socket) -> None:
        sock.sendall(tick(0))
        sock.sendall(frame(large) + tick(2))
        expect_goodbye(sock)

    assert logged(script, 3).drain().size_bytes.tolist() == [len(TICK % 0), len(large), len(TICK % 2)]


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
        connection.ping()
        until(lambda: witness.rtts and witness.errors)
        gevent.sleep(0.05)
    assert 0 < witness.rtts[0] < PATIENCE_S * 1e6
    assert witness.errors == ["Maximum players reached"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x88\x02\x03\xf5", "close 1013"),
        (b"\x88\x00", "close 1005"),
        (b"", "end of stream without a close frame"),
        (b"\x81\x7e\x00", "end of stream without a close frame"),
        (b"\x81\x80", "a masked frame"),
        (b"\xf1\x00", "a frame with reserved bits"),
        (b"\x87\x00", "a frame with a reserved opcode"),
        (b"\x82\x7f\x00\x00\x00\x00\x7f\xff\xff\xff", "a frame of more than 16 MiB"),
        (frame(b"x", 0x80), "a continuation of nothing"),
        (frame(b"not JSON"), "a text that is no array of commands"),
        (frame(b"37"), "a text that is no array of commands"),
        (frame(b'[["\xff"]]'), "a text that is no array of commands"),
    ],
)
def test_every_end_has_a_reason(data: bytes, why: str) -> None:
    for first, fate in ((tick(0), Fate.CLOSED_EARLY), (b"", Fate.REFUSED)):

        def script(sock: socket.socket, first: bytes = first) -> None:
            if first:
                sock.sendall(first)
                time.sleep(0.02)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass

        with server(script) as (connection, witness):
            assert connection.open(PATIENCE_S) is bool(first)
            connection.wait_end()
            assert not connection.ticking
            connection.send_text(b"nobody hears that")
        assert witness.ends == [(fate, why)]


def test_odd_commands_are_no_fault() -> None:
    def script(sock: socket.socket) -> None:
        for text in (b"[]", b"[[]]", b'[["tick"]]', b'[["tick",1e300,2,3]]', b'[["tick",99999999999999999999,1,2]]'):
            sock.sendall(frame(text))
        sock.sendall(tick(0))
        expect_goodbye(sock)

    logged(script, 1)


def test_a_server_that_sends_no_tick_is_given_up() -> None:
    def script(sock: socket.socket) -> None:
        while sock.recv(4096):
            pass

    with server(script) as (connection, witness):
        assert not connection.open(0.2)
    assert witness.ends == [(Fate.TIMED_OUT, "no tick frame in time")]


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    witness = Witnessed()
    target = parse_target(f"ws://127.0.0.1:{port}")
    connection = Connection(target, (socket.AF_INET, ("127.0.0.1", port)), 0, "load0", witness)
    assert not connection.open(PATIENCE_S)
    assert witness.ends == [(Fate.REFUSED, "connection refused")]


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


def test_messages_are_handed_on_when_somebody_listens() -> None:
    def script(sock: socket.socket) -> None:
        sock.sendall(frame(WELCOME) + tick(3))
        time.sleep(0.02)
        sock.sendall(tick(4))
        expect_goodbye(sock)

    heard: list[tuple[int, bytes]] = []
    with server(script) as (connection, _):
        connection._on_text = lambda n, text: heard.append((n, text))
        assert connection.open(PATIENCE_S)
        until(lambda: len(heard) == 3)
    assert heard == [(-1, WELCOME), (3, TICK % 3), (4, TICK % 4)]


def test_reasons_can_be_counted() -> None:
    assert reason_of(ConnectionResetError(104, "x")) == "connection reset by peer"
    assert reason_of(OSError("odd")) == "odd"
