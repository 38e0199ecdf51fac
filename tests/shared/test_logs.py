import logging

import pytest

from shared.logs import QUIET_S, OnceAMinute, SparingLog


def test_a_thing_is_said_once_a_minute_and_not_only_once() -> None:
    gate = OnceAMinute()
    times = [1000, 1000.1, 1000 + QUIET_S - 1, 1000 + QUIET_S, 1001 + QUIET_S, 1000 + 2 * QUIET_S]
    assert [gate.lets(at_s) for at_s in times] == [True, False, False, True, False, True]


def test_a_clock_that_is_set_back_silences_nobody() -> None:
    gate = OnceAMinute()
    assert gate.lets(100_000)
    assert gate.lets(50_000)


def test_the_same_text_is_one_thing_whatever_its_details(caplog: pytest.LogCaptureFixture) -> None:
    log = SparingLog(logging.getLogger("tickbench"))
    for number in range(100):
        log.error("no score is kept (%d)", number)
        log.error("a fault", exc_info=ValueError("x"))
    assert [record.getMessage() for record in caplog.records] == ["no score is kept (0)", "a fault"]
    assert "ValueError: x" in caplog.text
