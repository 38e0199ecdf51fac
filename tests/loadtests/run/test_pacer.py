"""Who sends at a rate is called at each due time, late if need be, and lets others have their turn."""

import time
from collections.abc import Iterator

import gevent
import pytest

from loadtests.receive.stamps import now_us
from loadtests.run.pacer import Pacer

PERIOD_US = 2000


@pytest.fixture
def pacer() -> Iterator[Pacer]:
    pacer = Pacer()
    yield pacer
    pacer.stop()


def test_each_due_time_has_its_call_and_no_call_comes_early(pacer: Pacer) -> None:
    calls: list[tuple[int, int]] = []

    def send(due_us: int) -> bool:
        calls.append((due_us, now_us()))
        return len(calls) < 10

    start_us = now_us() + 5000
    pacer.pace(start_us, PERIOD_US, send)
    gevent.sleep(0.1)
    assert [due_us for due_us, _ in calls] == [start_us + i * PERIOD_US for i in range(10)]
    assert all(at_us >= due_us for due_us, at_us in calls)


def test_senders_take_turns_in_order_of_their_due_times(pacer: Pacer) -> None:
    calls: list[str] = []

    def sender(name: str) -> None:
        def send(_: int) -> bool:
            calls.append(name)
            return calls.count(name) < 3

        pacer.pace(start_us + (PERIOD_US // 2 if name == "b" else 0), PERIOD_US, send)

    start_us = now_us() + 5000
    sender("b")
    sender("a")
    gevent.sleep(0.1)
    assert calls == ["a", "b"] * 3


def test_who_cannot_keep_up_lets_the_hub_go_on(pacer: Pacer) -> None:
    others, calls = 0, 0

    def send(_: int) -> bool:
        nonlocal calls
        calls += 1
        time.sleep(0.002)  # longer than its period: it never catches up
        return True

    pacer.pace(now_us(), 1000, send)
    deadline_us = now_us() + 300_000
    while now_us() < deadline_us:
        gevent.sleep(0)
        others += 1
    assert calls > 10
    assert others > 3


def test_nobody_is_called_after_the_end(pacer: Pacer) -> None:
    calls: list[int] = []

    def send(due_us: int) -> bool:
        calls.append(due_us)
        return True

    pacer.pace(now_us() + 5000, PERIOD_US, send)
    pacer.stop()
    gevent.sleep(0.02)
    assert calls == []
