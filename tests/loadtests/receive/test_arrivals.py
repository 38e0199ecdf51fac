import struct
import time

import pytest

from loadtests.receive.arrivals import (
    HEAD_BYTES,
    MAX_RECENT,
    MAX_REMEMBERED_BYTES,
    ArrivalLog,
    ArrivedTick,
    Latest,
    is_utf8,
)
from loadtests.receive.stamps import STAMP_BYTES


def stamp(at_us: int) -> bytes:
    """Return a receive timestamp as the kernel gives it, 999 ns behind a microsecond."""
    seconds, us = divmod(at_us, 1_000_000)
    return struct.pack("@qq", seconds, us * 1000 + 999).ljust(STAMP_BYTES, b"\x00")


def frame(text: bytes) -> bytes:
    return bytes((0x81, len(text))) + text if len(text) < 126 else b"\x81\x7e" + len(text).to_bytes(2, "big") + text


@pytest.mark.parametrize("pad", [0, 10, 200, 60_000])
def test_a_read_is_looked_at_once_and_then_known(pad: int) -> None:
    log = ArrivalLog()
    text = b'[["tick",42,1700000000000000,1700000000000123],["pad","' + b"." * pad + b'"]]'
    read = frame(text)
    latest = log.latest("main")
    assert latest.size != len(read)
    assert log.learn(latest, read)
    assert (latest.read, latest.size, latest.number) == (read, len(read), 0)
    assert log.frame(0) == ArrivedTick(42, 1700000000000000, 1700000000000123, len(text))


def test_each_room_has_its_own_latest_read() -> None:
    log = ArrivalLog()
    main, other = log.latest("main"), log.latest("r1")
    assert log.learn(main, frame(b'[["tick",1,20,21]]'))
    assert log.learn(other, frame(b'[["tick",9,20,21]]'))
    assert main is log.latest("main")
    assert [log.frame(latest.number).n for latest in (main, other)] == [1, 9]


@pytest.mark.parametrize(
    "read",
    [
        b"",
        b"\x81",
        frame(b'[["pong",1,2]]'),
        frame(b'[["tick",1,2,3]]')[:-1],
        frame(b'[["tick",1,2,3]]') + b"\x81",
        frame(b'[["tick",1,2,3]]') * 2,
        frame(b'[["tick",1,2,3],["x","\xff"]]'),
        frame(b'[["tick",1,2,3]]').replace(b"\x81", b"\x82"),
        frame(b'[["tick",1,2,3]]').replace(b"\x81", b"\x01"),
        frame(b'[["tick",1,2,3]]').replace(b"\x81", b"\xc1"),
        b"\x81\x90" + b'[["tick",1,2,3]]',
        b"\x81\x7e",
        b"\x81\x7f" + (16).to_bytes(8, "big") + b'[["tick",1,2,3]]',
    ],
)
def test_other_reads_are_not_learnt(read: bytes) -> None:
    log = ArrivalLog()
    latest = log.latest("main")
    assert log.learn(latest, frame(b'[["tick",0,2,3]]'))
    assert not log.learn(latest, read)
    assert latest.read == frame(b'[["tick",0,2,3]]'), "what was known is known still"


def test_what_comes_late_is_known_and_is_not_the_latest() -> None:
    log = ArrivalLog()
    latest = log.latest("main")
    old, new = frame(b'[["tick",1,20,21]]'), frame(b'[["tick",2,40,41]]')
    assert [log.number_of(latest, read) for read in (old, new, old, new, old)] == [0, 1, 0, 1, 0]
    assert (latest.read, latest.number) == (new, 1)
    assert log.number_of(latest, old[:-1]) is None
    log.drain()
    assert log.number_of(latest, new) == 0, "the numbers of the frames begin anew"
    assert log.frame(0).n == 2
    assert log.number_of(latest, old) == 1


def test_of_reads_only_so_many_are_known_and_no_long_ones() -> None:
    log = ArrivalLog()
    latest = log.latest("main")
    reads = [frame(b'[["tick",%d,20,21]]' % n) for n in range(3 * MAX_RECENT)]
    assert [log.number_of(latest, read) for read in reads] == [*range(3 * MAX_RECENT)]
    assert len(latest.recent) <= MAX_RECENT
    assert log.number_of(latest, reads[0]) == 3 * MAX_RECENT
    long = frame(b'[["tick",1,20,21],["pad","' + b"." * MAX_REMEMBERED_BYTES + b'"]]')
    assert log.number_of(latest, long) == 3 * MAX_RECENT + 1
    assert log.number_of(latest, reads[0]) == 3 * MAX_RECENT
    assert log.number_of(latest, long) == 3 * MAX_RECENT + 2


def test_nothing_is_known_at_first() -> None:
    latest = Latest([], bytearray())
    assert latest.size == -1, "no read is as long as that"


def test_the_longest_head_fits() -> None:
    text = b'[["tick",' + b",".join([b"9" * 18] * 3) + b"]]"
    assert len(text) - 1 == HEAD_BYTES
    log = ArrivalLog()
    assert log.parse(text[:HEAD_BYTES], len(text)) == 0
    log.append(0, 0, stamp(1))
    assert log.drain().n.tolist() == [10**18 - 1]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"[]",
        b'[["tick"]]',
        b'[["tick",1,2]]',
        b'[["tick", 1,2,3]]',
        b'[["tick",1,2,3',
        b'[["tick",1,2,3.5]]',
        b'[["tick",-1,2,3]]',
        b'[["tick",1,2,1234567890123456789]]',
        b'[["pong",1,2,3]]',
    ],
)
def test_no_head_of_a_tick_frame(head: bytes) -> None:
    assert ArrivalLog().parse(head, 100) is None


def test_texts_are_remembered_until_the_drain_unless_they_are_long() -> None:
    log = ArrivalLog()
    short, long = b"x" * MAX_REMEMBERED_BYTES, b"x" * (MAX_REMEMBERED_BYTES + 1)
    log.remember(short, 3)
    log.remember(long, 4)
    assert log.numbers == {short: 3}
    log.drain()
    assert not log.numbers


def test_a_drain_hands_over_everything_once() -> None:
    log = ArrivalLog()
    rows, stamps, latest = log.rows, log.stamps, log.latest("main")
    assert log.learn(latest, frame(b'[["tick",1,20,21]]'))
    log.append(5, latest.number, stamp(30))
    log.append(6, latest.number, stamp(1_700_000_000_999_999))
    log.mark_coalesced()
    log.append(5, log.add(ArrivedTick(2, 40, 41, 90)), stamp(50))
    log.mark_slow_parse()
    assert len(log) == 3

    arrivals = log.drain()
    assert arrivals.connection.tolist() == [5, 6, 5]
    assert arrivals.n.tolist() == [1, 1, 2]
    assert arrivals.due_us.tolist() == [20, 20, 40]
    assert arrivals.sent_us.tolist() == [21, 21, 41]
    assert arrivals.arrival_us.tolist() == [30, 1_700_000_000_999_999, 50]
    assert arrivals.size_bytes.tolist() == [18, 18, 90]
    assert arrivals.frame.tolist() == [0, 0, 1]
    assert arrivals.coalesced.tolist() == [False, True, False]
    assert arrivals.slow_parse.tolist() == [False, False, True]
    assert arrivals.unstamped.tolist() == [False, False, False]

    assert len(log) == 0
    assert latest.size == -1, "the numbers of the frames begin anew"
    assert len(log.drain().n) == 0
    assert log.rows is rows
    assert log.stamps is stamps
    assert log.latest("main") is latest


def test_an_arrival_without_a_stamp_is_now() -> None:
    log = ArrivalLog()
    number = log.add(ArrivedTick(1, 2, 3, 4))
    before_us = time.time_ns() // 1000
    log.append(0, number, b"")
    after_us = time.time_ns() // 1000
    log.append(0, number, stamp(77))
    arrivals = log.drain()
    assert before_us <= arrivals.arrival_us[0] <= after_us
    assert arrivals.arrival_us[1] == 77
    assert arrivals.unstamped.tolist() == [True, False]


def test_utf8() -> None:
    assert is_utf8(b"")
    assert is_utf8("é".encode())
    assert is_utf8(memoryview(b"abc"))
    assert not is_utf8(b"\xff")
    assert not is_utf8("é".encode()[:1])
