import pytest

from loadtests.arrivals import HEAD_BYTES, ArrivalLog, TickHead


def test_a_head_is_parsed_once_and_then_known() -> None:
    log = ArrivalLog()
    text = b'[["tick",42,1700000000000000,1700000000000123],["render",1,2,"%",3]]'
    frame = log.parse(text[:HEAD_BYTES])
    assert frame == log.frames[text[:HEAD_BYTES]] == 0
    assert log.head(frame) == TickHead(42, 1700000000000000, 1700000000000123)
    assert log.parse(b'[["tick",43,1700000000000000,1700000000000123]]') == 1


def test_the_longest_head_fits() -> None:
    text = b'[["tick",' + b",".join([b"9" * 18] * 3) + b"]]"
    assert len(text) - 1 == HEAD_BYTES
    assert ArrivalLog().parse(text[:HEAD_BYTES]) is not None


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
    assert ArrivalLog().parse(head) is None


def test_a_drain_hands_over_everything_once() -> None:
    log = ArrivalLog()
    frame = log.parse(b'[["tick",1,20,21]]')
    assert frame is not None
    log.append(5, frame, 30, 100)
    log.append(6, frame, 31, 100)
    log.mark_coalesced()
    log.append(5, log.add_head(TickHead(2, 40, 41)), 50, 90)
    log.mark_slow_parse()
    log.mark_unstamped()
    assert len(log) == 3

    arrivals = log.drain()
    assert arrivals.connection.tolist() == [5, 6, 5]
    assert arrivals.n.tolist() == [1, 1, 2]
    assert arrivals.due_us.tolist() == [20, 20, 40]
    assert arrivals.sent_us.tolist() == [21, 21, 41]
    assert arrivals.arrival_us.tolist() == [30, 31, 50]
    assert arrivals.size_bytes.tolist() == [100, 100, 90]
    assert arrivals.coalesced.tolist() == [False, True, False]
    assert arrivals.slow_parse.tolist() == [False, False, True]
    assert arrivals.unstamped.tolist() == [False, False, True]

    assert len(log) == 0
    assert not log.frames
    assert len(log.drain().n) == 0
