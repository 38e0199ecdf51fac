import pytest

from loadtests.arrivals import HEAD_BYTES, READ_BYTES, ArrivalLog, TickFrame


def frame(text: bytes) -> bytes:
    return bytes((0x81, len(text))) + text if len(text) < 126 else b"\x81\x7e" + len(text).to_bytes(2, "big") + text


@pytest.mark.parametrize("pad", [0, 10, 200])
def test_a_read_is_looked_at_once_and_then_known(pad: int) -> None:
    log = ArrivalLog()
    text = b'[["tick",42,1700000000000000,1700000000000123],["pad","' + b"." * pad + b'"]]'
    read = frame(text)
    known = log.learn(read[:READ_BYTES], len(read))
    assert known == (0, len(read)) == log.reads[read[:READ_BYTES]]
    assert log.frame(0) == TickFrame(42, 1700000000000000, 1700000000000123, len(text))


@pytest.mark.parametrize(
    "read",
    [
        b"",
        b"\x81",
        frame(b'[["pong",1,2]]'),
        frame(b'[["tick",1,2,3]]')[:-1],
        frame(b'[["tick",1,2,3]]') + b"\x81",
        frame(b'[["tick",1,2,3]]').replace(b"\x81", b"\x82"),
        frame(b'[["tick",1,2,3]]').replace(b"\x81", b"\x01"),
        b"\x81\x7f" + (16).to_bytes(8, "big") + b'[["tick",1,2,3]]',
    ],
)
def test_other_reads_are_not_learnt(read: bytes) -> None:
    log = ArrivalLog()
    assert log.learn(read[:READ_BYTES], len(read)) is None
    assert not log.reads


def test_the_longest_head_fits() -> None:
    text = b'[["tick",' + b",".join([b"9" * 18] * 3) + b"]]"
    assert len(text) - 1 == HEAD_BYTES
    assert ArrivalLog().parse(text[:HEAD_BYTES], len(text)) is not None


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


def test_a_drain_hands_over_everything_once() -> None:
    log = ArrivalLog()
    reads, rows = log.reads, log.rows
    known = log.learn(frame(b'[["tick",1,20,21]]'), 20)
    assert known is not None
    log.append(5, known[0], 30)
    log.append(6, known[0], 31)
    log.mark_coalesced()
    log.append(5, log.add(TickFrame(2, 40, 41, 90)), 50)
    log.mark_slow_parse()
    log.mark_unstamped()
    assert len(log) == 3

    arrivals = log.drain()
    assert arrivals.connection.tolist() == [5, 6, 5]
    assert arrivals.n.tolist() == [1, 1, 2]
    assert arrivals.due_us.tolist() == [20, 20, 40]
    assert arrivals.sent_us.tolist() == [21, 21, 41]
    assert arrivals.arrival_us.tolist() == [30, 31, 50]
    assert arrivals.size_bytes.tolist() == [18, 18, 90]
    assert arrivals.frame.tolist() == [0, 0, 1]
    assert arrivals.coalesced.tolist() == [False, True, False]
    assert arrivals.slow_parse.tolist() == [False, False, True]
    assert arrivals.unstamped.tolist() == [False, False, True]

    assert len(log) == 0
    assert not log.reads
    assert len(log.drain().n) == 0
    assert (log.reads, log.rows) == (reads, rows)
    assert log.reads is reads
    assert log.rows is rows
