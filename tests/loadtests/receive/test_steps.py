from zlib import crc32

from loadtests.receive.arrivals import ArrivalLog
from loadtests.receive.steps import MAX_STEPS, StepLog, summary_of
from tests.loadtests.receive.test_arrivals import frame


def test_a_step_is_what_the_frame_says_behind_its_tick() -> None:
    log = StepLog()
    log.take(4, b'[["tick",4,20,21],["render",1,2,"%",3]]')
    log.take(4, b'[["tick",4,20,29],["render",1,2,"%",3]]')
    log.take(6, b'[["tick",6,22,23]]')
    summary = summary_of(log.digests, log.conflicting)
    assert summary is not None
    assert (summary.first_n, summary.conflicting) == (4, 0)
    said, nothing, empty = summary.crc32.split(" ")
    assert (nothing, int(empty, 16)) == ("-", crc32(b"]]"))
    assert int(said, 16) == crc32(b'],["render",1,2,"%",3]]')


def test_two_who_got_something_else_for_the_same_tick_are_counted() -> None:
    log = StepLog()
    log.take(1, b'[["tick",1,2,3],["render",1,2,"%",3]]')
    log.take(1, b'[["tick",1,2,3],["render",1,2,"%",4]]')
    assert log.conflicting == 1


def test_a_long_run_does_not_grow_by_them() -> None:
    log = StepLog()
    for n in range(MAX_STEPS + 5):
        log.take(n, b'[["tick",1,2,3]]')
    assert len(log.digests) == MAX_STEPS
    assert log.conflicting == 0


def test_what_comes_behind_its_close_is_not_taken_down() -> None:
    log = StepLog()
    log.take(1, b'[["tick",1,2,3],["render",1,2,"%",3]]')
    log.close()
    log.take(1, b'[["tick",1,2,3],["render",1,2,"%",4]]')
    log.take(2, b'[["tick",2,2,3]]')
    assert (list(log.digests), log.conflicting) == ([1], 0)


def test_no_ticks_no_summary() -> None:
    assert summary_of({}, 0) is None


def test_only_the_first_room_is_taken_down() -> None:
    log = ArrivalLog()
    first, other = log.latest("main"), log.latest("r1")
    log.learn(other, frame(b'[["tick",9,20,21],["reset_world"]]'))
    log.learn(first, frame(b'[["tick",1,20,21]]'))
    log.note_step(first, log.parse(b'[["tick",2,40,41]]', 18) or 0, b'[["tick",2,40,41]]')
    assert set(log.steps.digests) == {1, 2}
