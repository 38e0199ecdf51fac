"""The accounts agree with a slow and simple bookkeeper, whatever comes in whatever order."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from loadtests.account.counts import MAIN, Accounts
from loadtests.account.presence import NEVER
from loadtests.account.room_ticks import ServerSkips
from loadtests.account.settling import RoomDueTimes
from loadtests.run.messages import encode
from shared.measure.histogram import HIGHEST_US, Histogram
from tests.support.stories import (
    END_US,
    LAST_N,
    PERIOD_US,
    START_US,
    Arrival,
    Book,
    Member,
    Story,
    counts,
    due,
    explained,
    shared_out,
)

EXACT = settings(deadline=None, derandomize=True, database=None, max_examples=200, phases=(Phase.generate,))
"""Without shrinking, which would take longer than a test may: the first story that fails is short enough to read."""


TIMES = st.builds(
    lambda n, us: due(n) + us, st.integers(0, LAST_N + 5), st.sampled_from((-1, 0, 1, 9, 10, 11, 12, 25_000))
)
MEMBERS = st.builds(
    Member,
    room=st.sampled_from(("main", "main", "r1")),
    group=st.sampled_from((MAIN, MAIN, "stalled", "left")),
    entered_us=st.none() | TIMES,
    ended_us=st.just(NEVER) | TIMES,
    ended_with_last=st.sampled_from((False, False, False, True)),
    asked_us=st.just(0) | TIMES,
    left=st.booleans(),
    until_us=st.just(NEVER) | TIMES,
)
DELAYS = st.sampled_from((-100, 0, 5, 10, 11, 12, 300, 40_000, 170_000, HIGHEST_US, HIGHEST_US + 1))


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """A room's ticks on some connections: in order with drops, repeats and swaps, or in no order at all."""
    members = draw(st.lists(MEMBERS, min_size=1, max_size=5))
    arrivals: list[Arrival] = []
    for number in range(len(members)):
        if draw(st.booleans()):
            numbers = draw(st.lists(st.integers(0, LAST_N), max_size=12))
        else:
            first, end = sorted(draw(st.tuples(st.integers(0, LAST_N), st.integers(0, LAST_N + 1))))
            dropped = draw(st.sets(st.integers(first, max(first, end)), max_size=8))
            numbers = [n for n in range(first, end) if n not in dropped]
            for index in draw(st.lists(st.integers(0, LAST_N), max_size=3)):
                if index + 1 < len(numbers):
                    numbers[index], numbers[index + 1] = numbers[index + 1], numbers[index]
                    numbers.insert(index, numbers[index])
        arrivals += [Arrival(number, n, draw(DELAYS)) for n in numbers]
    if draw(st.booleans()):  # all connections at a time; else one after the other
        arrivals.sort(key=lambda arrival: arrival.at_us)
    start_us, stop_us = sorted(draw(st.tuples(TIMES, TIMES)))
    return Story(
        members,
        arrivals,
        range(start_us, stop_us + draw(st.sampled_from((1, 10 * PERIOD_US)))),
        cuts=draw(st.lists(st.integers(0, len(arrivals)), max_size=4)),
        odd=draw(st.frozensets(st.integers(0, LAST_N), max_size=2)),
        stages=[0, *sorted(draw(st.lists(st.integers(1, 10 * PERIOD_US), max_size=2)))],
    )


@EXACT
@given(stories())
def test_every_tick_is_accounted_for(story: Story) -> None:
    recorder, book = story.played(), Book(story)
    for group, page in book.pages.items():
        accounts = recorder.groups[group]
        assert counts(accounts) == counts(page)
        assert accounts.tick_lateness.summary() == page.lateness.summary()
        assert accounts.interval_error.summary() == page.intervals.summary()
        assert accounts.pdv.summary() == page.pdv.summary()
        assert (accounts.skipped, accounts.absent) == (page.skipped, page.absent)
        assert accounts.tick_lateness.count == accounts.due
        assert accounts.longest_silence_us == page.silence_us
        assert accounts.delivery.count == accounts.received
    assert set(recorder.groups) == {MAIN} | set(book.pages)
    assert sum(room.frames for room in recorder.due_times.values()) == recorder.groups[MAIN].due
    assert {name: room.in_time for name, room in recorder.due_times.items() if room.in_time} == +book.in_time


@EXACT
@given(stories())
def test_stages_add_up_to_the_whole(story: Story) -> None:
    recorder = story.played()
    main, stages = recorder.groups[MAIN], recorder.stages
    if len(stages) < 2:
        return
    lateness, error = Histogram(), Histogram()
    for stage in stages:
        assert stage.tick_lateness.count == stage.received + stage.missing + stage.skipped + stage.absent
        lateness.add(stage.tick_lateness)
        error.add(stage.interval_error)
    assert sum(stage.received for stage in stages) == main.received
    for kind in ("missing", "skipped", "absent"):
        assert sum(getattr(stage, kind) for stage in stages) == getattr(main, kind)
    assert lateness.summary() == main.tick_lateness.summary()
    assert error.summary() == main.interval_error.summary()


@EXACT
@given(stories(), st.sets(st.integers(0, 4)))
def test_two_workers_that_share_rooms_count_what_one_would(story: Story, of_first: set[int]) -> None:
    numbers = set(range(len(story.members)))
    shares = [share for share in (numbers & of_first, numbers - of_first) if share]
    recorders = [story.recorded(*share) for share in shares]
    shared_out(*recorders)
    alone = story.recorded()
    # It was asked two ticks before the window and two behind it.
    first_n, end_n = ((at_us - START_US) // PERIOD_US for at_us in (story.window.start, story.window.stop))
    by_server = {"r1": ServerSkips(first_n - 1, end_n + 2, 2)}
    seen = explained(alone, by_server)
    alone.settle(END_US)
    groups: defaultdict[str, Accounts] = defaultdict(Accounts)
    due_times: defaultdict[str, list[RoomDueTimes]] = defaultdict(list)
    for recorder in recorders:
        assert explained(recorder, by_server) == tuple(
            {name: of[name] for name in recorder.rooms if name in of} for of in seen
        )
        recorder.settle(END_US)
        for name, accounts in recorder.groups.items():
            groups[name].add(accounts)
        for name, room in recorder.due_times.items():
            due_times[name].append(room)
    assert {name: encode(accounts) for name, accounts in groups.items()} == {
        name: encode(accounts) for name, accounts in alone.groups.items()
    }
    in_both = {name: RoomDueTimes.union(rooms) for name, rooms in due_times.items()}
    assert {name: (room.frames, room.in_time) for name, room in in_both.items()} == {
        name: (room.frames, room.in_time) for name, room in alone.due_times.items()
    }
