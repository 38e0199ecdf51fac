import os
import select
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from shared.system import timerfd
from shared.system.timerfd import MONOTONIC, REALTIME, create_timer, expirations, has_timers, set_timer

PATIENCE_S = 5.0
BY_CTYPES = [False, True]
"""The standard library's way is another one from Python 3.13 on; both must do the same."""


@pytest.fixture(params=BY_CTYPES, ids=["as on this Python", "by ctypes"])
def timer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    if request.param:
        monkeypatch.setattr(timerfd, "sys", SimpleNamespace(version_info=(3, 11), byteorder=sys.byteorder))
    timer = create_timer(MONOTONIC)
    yield timer
    os.close(timer)


def expired(timer: int, seconds: float = PATIENCE_S) -> bool:
    return bool(select.select([timer], [], [], seconds)[0])


def test_this_system_has_timers() -> None:
    assert has_timers()


def test_a_timer_that_is_not_set_never_expires(timer: int) -> None:
    assert not expired(timer, 0.01)
    assert expirations(timer) == 0


def test_it_expires_when_it_is_due_and_not_before(timer: int) -> None:
    due_ns = time.monotonic_ns() + 5_000_000
    set_timer(timer, due_ns)
    assert expired(timer)
    assert time.monotonic_ns() >= due_ns
    assert expirations(timer) == 1
    assert expirations(timer) == 0
    assert not expired(timer, 0.01)


def test_what_is_past_expires_at_once(timer: int) -> None:
    set_timer(timer, time.monotonic_ns() - 1_000_000_000)
    assert expired(timer)


def test_a_period_counts_on(timer: int) -> None:
    due_ns = time.monotonic_ns() + 1_000_000
    set_timer(timer, due_ns, 2_000_000)
    time.sleep(0.02)
    before = (time.monotonic_ns() - due_ns) // 2_000_000 + 1
    counted = expirations(timer)
    assert before <= counted <= (time.monotonic_ns() - due_ns) // 2_000_000 + 1


def test_the_clock_on_the_wall() -> None:
    timer = create_timer(REALTIME)
    try:
        set_timer(timer, time.time_ns() + 1_000_000)
        assert expired(timer)
    finally:
        os.close(timer)


def test_it_is_not_handed_on_to_children(timer: int) -> None:
    assert not os.get_inheritable(timer)
    assert not os.get_blocking(timer)


def test_a_system_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timerfd, "_create", None)
    assert not has_timers()
    assert create_timer(MONOTONIC) == -1
