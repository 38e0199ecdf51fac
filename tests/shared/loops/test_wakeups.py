from hypothesis import given, settings
from hypothesis import strategies as st

from shared.loops.wakeups import Wakeups


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
