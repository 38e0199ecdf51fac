"""A thread tells who keeps an event loop, and not a word of one that runs."""

import _thread
import time

import pytest

from shared.system.blocking import BLOCKING_LIMIT_S, BlockingWatch


def test_who_blocks_is_told_with_the_stack_and_who_beats_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    def block() -> None:
        time.sleep(4 * BLOCKING_LIMIT_S)

    with BlockingWatch(_thread.start_new_thread, _thread.allocate_lock, _thread.get_ident) as watch:
        block()
        told = capsys.readouterr().err
        watch.beat()
    assert "the event loop appears to be blocked" in told
    assert "in block" in told
    time.sleep(2 * BLOCKING_LIMIT_S)
    assert capsys.readouterr().err == "", "the watch has ended"
