"""Every row of the table of loop states, spelled out a second time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.loops.lifecycle import (
    CLOSED,
    CRASHED,
    IDLE,
    RESTARTING,
    RUNNING,
    STOPPING,
    TRANSITIONS,
    IllegalEventError,
    Lifecycle,
    LoopEvent,
    LoopState,
)

OCCUPIED, VACATED, STOPPED, FAILED, CLOSE = LoopEvent

TABLE = {
    (IDLE, OCCUPIED): RUNNING,
    (IDLE, FAILED): CRASHED,  # its game, which another process has, may die meanwhile
    (IDLE, CLOSE): CLOSED,
    (RUNNING, VACATED): STOPPING,
    (RUNNING, FAILED): CRASHED,
    (RUNNING, CLOSE): CLOSED,
    (STOPPING, OCCUPIED): RESTARTING,
    (STOPPING, STOPPED): IDLE,
    (STOPPING, FAILED): CRASHED,
    (STOPPING, CLOSE): CLOSED,
    (RESTARTING, VACATED): STOPPING,
    (RESTARTING, STOPPED): RUNNING,
    (RESTARTING, FAILED): CRASHED,
    (RESTARTING, CLOSE): CLOSED,
    (CRASHED, VACATED): CRASHED,
    (CRASHED, STOPPED): CRASHED,
    (CRASHED, CLOSE): CLOSED,
    (CLOSED, VACATED): CLOSED,
    (CLOSED, STOPPED): CLOSED,
    (CLOSED, FAILED): CLOSED,
    (CLOSED, CLOSE): CLOSED,
}

PATHS = {
    IDLE: [],
    RUNNING: [OCCUPIED],
    STOPPING: [OCCUPIED, VACATED],
    RESTARTING: [OCCUPIED, VACATED, OCCUPIED],
    CRASHED: [OCCUPIED, FAILED],
    CLOSED: [CLOSE],
}
"""What leads to each state."""


def lifecycle_in(state: LoopState) -> Lifecycle:
    lifecycle = Lifecycle()
    for event in PATHS[state]:
        lifecycle.feed(event)
    assert lifecycle.state is state
    return lifecycle


def test_a_loop_begins_idle() -> None:
    assert Lifecycle().state is IDLE


@pytest.mark.parametrize(("state", "event"), TABLE, ids=lambda member: member.name)
def test_a_row_of_the_table(state: LoopState, event: LoopEvent) -> None:
    lifecycle = lifecycle_in(state)
    following = TABLE[state, event]
    assert lifecycle.feed(event) is (None if following is state else following)
    assert lifecycle.state is following


ILLEGAL = [(state, event) for state in LoopState for event in LoopEvent if (state, event) not in TABLE]


@pytest.mark.parametrize(("state", "event"), ILLEGAL, ids=lambda member: member.name)
def test_an_illegal_event_raises_and_changes_nothing(state: LoopState, event: LoopEvent) -> None:
    lifecycle = lifecycle_in(state)
    with pytest.raises(IllegalEventError, match=f"^{event.name} while {state.name}$"):
        lifecycle.feed(event)
    assert lifecycle.state is state


def test_the_table_has_no_other_rows() -> None:
    rows = {(state, event): following for state, events in TRANSITIONS.items() for event, following in events.items()}
    assert rows == TABLE
    assert set(TRANSITIONS) == set(LoopState)


@given(st.lists(st.sampled_from(LoopEvent), max_size=40))
def test_a_loop_is_started_only_when_none_runs(events: list[LoopEvent]) -> None:
    """A shell starts a loop on RUNNING: between two such starts the first must have ended."""
    lifecycle, runs = Lifecycle(), False
    for event in events:
        try:
            state = lifecycle.feed(event)
        except IllegalEventError:
            continue
        if event in (STOPPED, FAILED):
            runs = False
        if state is RUNNING:
            assert not runs
            runs = True
    if lifecycle.state is IDLE:
        assert not runs
