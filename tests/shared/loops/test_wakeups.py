from hypothesis import given, settings
from hypothesis import strategies as st

from shared.loops.wakeups import LEAD_US, MIN_SLEEP_US, Wakeups, lead_us


def test_nobody_waits() -> None:
    wakeups: Wakeups[str] = Wakeups()
    assert wakeups.next_due_us is None
    assert wakeups.pop_due(10**18) == []


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(0, 20)), st.lists(st.integers(0, 25)))
def test_everybody_is_woken_once_when_due_in_order(due_times: list[int], looks: list[int]) -> None:
    wakeups: Wakeups[tuple[int, int]] = Wakeups()
    waiting = [(due_us, number) for number, due_us in enumerate(due_times)]
    for due_us, number in waiting:
        wakeups.add(due_us, (due_us, number))
    for now_us in sorted(looks):
        due = sorted(waiter for waiter in waiting if waiter[0] <= now_us)
        waiting = [waiter for waiter in waiting if waiter[0] > now_us]
        assert wakeups.pop_due(now_us) == due
        assert wakeups.next_due_us == min((due_us for due_us, _ in waiting), default=None)


def test_who_sleeps_long_is_to_be_woken_a_little_early_and_who_sleeps_short_is_not() -> None:
    assert lead_us(MIN_SLEEP_US, 0) == LEAD_US
    assert lead_us(50_000, 7) == LEAD_US
    assert lead_us(MIN_SLEEP_US + 6, 7) == 0
    assert lead_us(5, 7) == 0
    assert LEAD_US <= 0.02 * MIN_SLEEP_US, "however many rooms there are, no more than that is spun away"
