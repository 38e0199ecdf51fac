"""The accounts agree with a slow and simple bookkeeper, whatever comes in whatever order."""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from loadtests.accounts import MAIN, Accounts
from loadtests.arrivals import ArrivalLog, TickFrame
from loadtests.recorder import NEVER, STRETCH_US, Recorder
from loadtests.rooms import ServerSkips
from shared.measure.histogram import HIGHEST_US, Histogram
from tests.loadtests.test_accounts import travelled
from tests.loadtests.test_arrivals import stamp

PERIOD_US = 50_000
SEND_US = 10
"""From a tick's due time to when it is sent."""
ODD_US = 61_000_000
"""How long before it was sent a frame may say that it was due."""
START_US = 200_000_000
"""Due time of tick 0: no time is negative, however odd."""
CORRECTION_US = 7
LAST_N = 30
END_US = START_US + 200 * PERIOD_US

EXACT = settings(deadline=None, derandomize=True, database=None, max_examples=200, phases=(Phase.generate,))
"""Without shrinking, which would take longer than a test may: the first story that fails is short enough to read."""


def due(n: int) -> int:
    return START_US + n * PERIOD_US


def sent(n: int) -> int:
    return due(n) + SEND_US


# The truth, one tick after the other


@dataclass(frozen=True)
class Member:
    """One connection."""

    room: str = "main"
    group: str = MAIN
    entered_us: int | None = None
    ended_us: int = NEVER
    ended_with_last: bool = False


@dataclass(frozen=True)
class Arrival:
    """A tick frame, so long after it was due."""

    member: int
    n: int
    delay_us: int

    @property
    def at_us(self) -> int:
        return due(self.n) + self.delay_us


@dataclass
class Story:
    """Whatever became of some connections."""

    members: list[Member]
    arrivals: list[Arrival]
    window: range = range(START_US, END_US)
    cuts: list[int] = field(default_factory=list)
    """Behind which arrivals a take ends."""
    odd: frozenset[int] = frozenset()
    """Ticks that say that they were due long before."""
    stages: list[int] = field(default_factory=lambda: [0])

    def stated_due(self, n: int) -> int:
        return sent(n) - ODD_US if n in self.odd else due(n)

    def measures(self, n: int) -> bool:
        """Whether a tick is in the window: a due time that is none places nothing."""
        return (sent(n) if n in self.odd else due(n)) in self.window

    def takes(self) -> list[list[Arrival]]:
        size = len(self.arrivals)
        edges = [0, *sorted(min(cut, size) for cut in self.cuts), size]
        return [self.arrivals[first:end] for first, end in pairwise(edges)]

    def recorded(self, *of: int) -> Recorder:
        """Return what has recorded the arrivals of some members (of all if none is named), not settled."""
        recorder = Recorder(PERIOD_US)
        indexes = {}
        for member in of or range(len(self.members)):
            who = self.members[member]
            indexes[member] = index = recorder.add_connection(who.room, who.group)
            if who.entered_us is not None:
                recorder.enter_connection(index, who.entered_us)
            recorder.end_connection(index, who.ended_us)
            if who.ended_with_last:
                recorder.end_with_last(index)
        recorder.measure(self.window, self.stages)
        log = ArrivalLog()
        for take in self.takes():
            for arrival in take:
                if arrival.member in indexes:
                    n = arrival.n
                    frame = log.add(TickFrame(n, self.stated_due(n), sent(n), 100))
                    log.append(indexes[arrival.member], frame, stamp(arrival.at_us - CORRECTION_US))
            recorder.take(log.drain(), CORRECTION_US)
        return recorder

    def played(self) -> Recorder:
        recorder = self.recorded()
        recorder.settle(END_US)
        return recorder

    def main(self) -> Accounts:
        return self.played().groups[MAIN]


@dataclass
class Page:
    """What is written down of one group."""

    received: int = 0
    missing: int = 0
    duplicate: int = 0
    out_of_order: int = 0
    lateness: Histogram = field(default_factory=Histogram)
    intervals: Histogram = field(default_factory=Histogram)
    pdv: Histogram = field(default_factory=Histogram)


class Book:
    """What a bookkeeper writes down who follows one connection after the other through all of a story."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.pages: defaultdict[str, Page] = defaultdict(Page)
        self.rooms: defaultdict[str, set[int]] = defaultdict(set)
        for arrival in story.arrivals:
            self.rooms[story.members[arrival.member].room].add(arrival.n)
        for number, member in enumerate(story.members):
            page = self.pages[member.group]
            ticks = [arrival for arrival in story.arrivals if arrival.member == number]
            if ticks:
                self._follow(page, member, ticks)

    def _follow(self, page: Page, member: Member, ticks: list[Arrival]) -> None:
        story, first = self.story, ticks[0].n
        got: dict[int, int] = {}  # when each came
        newest: list[int] = []  # those that were newer than all before
        deliveries = []
        for tick in ticks:
            n, measured = tick.n, story.measures(tick.n)
            if n in got:
                page.duplicate += measured
                continue
            got[n] = tick.at_us
            if not newest or n > newest[-1]:
                if newest and n == newest[-1] + 1 and measured and story.measures(n - 1):
                    page.intervals.record(abs(got[n] - got[n - 1] - PERIOD_US))
                newest.append(n)
            else:
                page.out_of_order += measured
            if measured:
                page.received += 1
                page.lateness.record(tick.at_us - story.stated_due(n))
                deliveries.append(tick.at_us - sent(n))
        for delivery_us in deliveries:
            page.pdv.record(delivery_us - min(deliveries))
        for n, due_us in self._expected(member, first, newest[-1]):
            if n not in got:
                page.missing += 1
                page.lateness.record(next((got[newer] for newer in newest if newer > n), END_US) - due_us)

    def _expected(self, member: Member, first: int, last: int) -> list[tuple[int, int]]:
        """Return the ticks of the window that were sent while a connection was in its room, and when they were due."""
        story, room = self.story, self.rooms[member.room]
        ended_us = -1 if member.ended_with_last else member.ended_us
        seen = [n for n in room if first < n < last or _is_told(member, first, n) or (n > last and sent(n) < ended_us)]
        ticks = [(n, story.stated_due(n)) for n in seen if story.measures(n)]
        if len(room - story.odd) > 1:  # else nobody can tell what a period is
            unseen = range(max(room) + 1, 101)
            ticks += [(n, due(n)) for n in unseen if due(n) < ended_us and due(n) in story.window]
        return ticks


def _is_told(member: Member, first: int, n: int) -> bool:
    """Whether the connection's welcome came before its first tick, and ``n`` was sent in between."""
    entered_us = member.entered_us
    return entered_us is not None and n < first and entered_us < sent(n)


def counts(of: Accounts | Page) -> tuple[int, int, int, int]:
    return of.received, of.missing, of.duplicate, of.out_of_order


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
        assert accounts.tick_lateness.count == accounts.received + accounts.missing == accounts.expected
        assert accounts.delivery.count == accounts.received
    assert set(recorder.groups) == {MAIN} | set(book.pages)


@EXACT
@given(stories())
def test_steps_add_up_to_the_whole(story: Story) -> None:
    recorder = story.played()
    main, stages = recorder.groups[MAIN], recorder.stages
    if len(stages) < 2:
        return
    lateness, error = Histogram(), Histogram()
    for stage in stages:
        assert stage.tick_lateness.count == stage.received + stage.missing
        lateness.add(stage.tick_lateness)
        error.add(stage.interval_error)
    assert sum(stage.received for stage in stages) == main.received
    assert sum(stage.missing for stage in stages) == main.missing
    assert lateness.summary() == main.tick_lateness.summary()
    assert error.summary() == main.interval_error.summary()


def unseen(recorder: Recorder) -> int:
    return sum(len(room.unseen(recorder.window)) for room in recorder.rooms.values())


def lost_ticks(recorder: Recorder, skipped: int = 0, first_n: int = 0, end_n: int = 10**6) -> dict[str, int]:
    """Explain what nobody saw by what the server says of each room; return what it did not skip."""
    skips = dict.fromkeys(recorder.rooms, ServerSkips(first_n, end_n, skipped))
    return recorder.explain_unseen(skips).lost


def shared_out(*recorders: Recorder) -> None:
    """Tell each what the others saw, as workers do."""
    seen = [
        travelled({name: room.to_wire(recorder.window.start - 3 * PERIOD_US) for name, room in recorder.rooms.items()})
        for recorder in recorders
    ]
    for number, recorder in enumerate(recorders):
        for other, wire in enumerate(seen):
            for name, columns in wire.items():
                if other != number and name in recorder.rooms:
                    recorder.rooms[name].take_wire(columns)


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
    seen = alone.explain_unseen(by_server)
    alone.settle(END_US)
    groups: defaultdict[str, Accounts] = defaultdict(Accounts)
    for recorder in recorders:
        assert recorder.explain_unseen(by_server) == tuple(
            {name: of[name] for name in recorder.rooms if name in of} for of in seen
        )
        recorder.settle(END_US)
        for name, accounts in recorder.groups.items():
            groups[name].add(accounts)
    assert {name: accounts.to_wire() for name, accounts in groups.items()} == {
        name: accounts.to_wire() for name, accounts in alone.groups.items()
    }


# By hand


def steady(*delays_us: int, member: int = 0) -> list[Arrival]:
    return [Arrival(member, n, delay_us) for n, delay_us in enumerate(delays_us)]


def ticks(*numbers: int, member: int = 0, delay_us: int = 100) -> list[Arrival]:
    return [Arrival(member, n, delay_us) for n in numbers]


ONE, TWO = [Member()], [Member(), Member()]


def test_lateness_delivery_and_intervals_by_hand() -> None:
    main = Story(ONE, steady(1000, 3000, 2500), range(START_US, due(3))).main()
    assert main.tick_lateness.max_us == 3000
    assert main.tick_lateness.mean_us == pytest.approx(6500 / 3)
    assert main.delivery.max_us == 3000 - SEND_US
    assert main.interval_error.count == 2
    assert main.interval_error.max_us == 2000
    assert main.interval_error.mean_us == (2000 + 500) / 2
    # PDV is what delivery is above the least one: 0 (recorded as 1), 2000, 1500.
    assert main.pdv.max_us == 2000
    assert main.pdv.early == 1
    # RFC 3550: J = 2000 / 16 = 125, then + (500 - 125) / 16.
    assert main.jitter.max_us == round(125 + 375 / 16)
    assert main.bytes == 300


def test_delay_variation_is_that_of_each_connection() -> None:
    arrivals = steady(1000, 1300) + steady(9000, 9200, member=1)
    main = Story(TWO, arrivals, range(START_US, due(2))).main()
    assert main.pdv.count == 4
    assert main.pdv.max_us == 300


def test_intervals_go_on_from_one_take_to_the_next() -> None:
    arrivals = steady(1000, 3000, 2500, 2500, 9000)
    at_once = Story(ONE, arrivals).main()
    one_by_one = Story(ONE, arrivals, cuts=[1, 2, 3, 4]).main()
    assert at_once.interval_error.count == 4
    assert one_by_one.to_wire() == at_once.to_wire()


def test_the_interval_to_a_due_time_that_lies_is_that_to_one_period() -> None:
    main = Story(ONE, steady(1000, 1400, 1400), odd=frozenset({1})).main()
    assert main.interval_error.count == 2
    assert main.interval_error.max_us == 400


def test_an_interval_over_a_gap_is_none_of_one_period() -> None:
    recorder = Story(
        ONE, [Arrival(0, 0, 1000), Arrival(0, 2, 5000), Arrival(0, 3, 5000)], range(START_US, due(4))
    ).played()
    main = recorder.groups[MAIN]
    assert main.interval_error.count == 1
    assert unseen(recorder) == 1
    assert main.missing == 0


def test_without_a_period_an_interval_is_compared_with_the_due_times() -> None:
    recorder = Recorder(period_us=0.0)
    recorder.add_connection("echo0", announced=True)
    recorder.measure(range(START_US, END_US))
    log = ArrivalLog()
    for n, due_us in enumerate((START_US, START_US + 700, START_US + 1000)):
        recorder.expect(0, n, due_us, due_us)
        log.append(0, log.add(TickFrame(n, due_us, due_us, 50)), stamp(due_us + 100 * n))
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    assert recorder.groups[MAIN].interval_error.count == 2
    assert recorder.groups[MAIN].interval_error.max_us == 100


def test_a_period_that_nobody_told_is_learnt_from_the_due_times() -> None:
    recorder = Recorder()
    assert recorder.period_us == 0
    recorder.add_connection("main")
    log = ArrivalLog()
    for n in range(3):
        log.append(0, log.add(TickFrame(n, due(n), sent(n), 50)), stamp(due(n)))
    recorder.take(log.drain(), 0)
    assert recorder.period_us == PERIOD_US
    recorder.close()


def test_early_and_clipped() -> None:
    main = Story(ONE, steady(0, 1, -5, HIGHEST_US, HIGHEST_US + 1)).main()
    lateness = main.tick_lateness
    assert lateness.early == 2, "0 us and before it was due"
    assert lateness.clipped == 1
    assert lateness.max_us == HIGHEST_US
    assert main.negative_deliveries == 3
    assert lateness.count == main.received + main.missing


def test_a_tick_that_says_it_was_due_a_minute_ago_is_where_it_was_sent() -> None:
    window = range(due(1), due(3))
    main = Story(ONE, ticks(0, 1, 2, 3), window, odd=frozenset({1, 2, 3})).main()
    assert counts(main) == (2, 0, 0, 0)
    assert (main.tick_lateness.clipped, main.delivery.clipped) == (2, 0)


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_a_missing_tick_that_says_it_was_due_a_minute_ago_is_missing(behind: int) -> None:
    arrivals = ticks(0, 3) + ticks(0, 1, 2, 3, member=1)
    main = Story(TWO, arrivals, range(START_US, due(4)), odd=frozenset({1 + behind})).main()
    assert counts(main) == (6, 2, 0, 0)


def test_a_last_tick_that_says_it_was_due_a_minute_ago_makes_none_before_it() -> None:
    main = Story(ONE, ticks(0, 1, 2, 3, 4), range(START_US, due(4)), odd=frozenset({4})).main()
    assert counts(main) == (4, 0, 0, 0)


def test_repeated_and_disordered_frames() -> None:
    arrivals = ticks(0, 1, 1, 4, 2, 2, 4, 3, 0)
    for cuts in ([], [3], [4], [5], [6, 7], list(range(9))):
        assert counts(Story(ONE, arrivals, range(START_US, due(5)), cuts=cuts).main()) == (5, 0, 4, 2)


def test_a_late_frame_fills_its_gap_with_its_own_lateness() -> None:
    arrivals = [*ticks(0, 2), Arrival(0, 1, 90_000), *ticks(3)]
    main = Story(ONE, arrivals, range(START_US, due(4))).main()
    assert counts(main) == (4, 0, 0, 1)
    assert main.tick_lateness.max_us == 90_000
    assert main.interval_error.count == 1, "a late frame is in no interval"


def test_a_missing_tick_is_late_by_the_time_to_the_next_frame() -> None:
    arrivals = [*ticks(0, 1, 2, member=1), Arrival(0, 0, 0), Arrival(0, 2, 4000)]
    main = Story(TWO, arrivals, range(START_US, due(3))).main()
    assert main.missing == 1
    assert main.tick_lateness.max_us == PERIOD_US + 4000


def test_a_tick_missing_at_the_end_is_late_by_the_time_to_the_end() -> None:
    main = Story(TWO, ticks(0) + ticks(0, 1, member=1), range(START_US, due(2))).main()
    assert main.missing == 1
    assert main.tick_lateness.max_us == END_US - due(1)


def test_a_connection_misses_nothing_that_was_sent_after_its_end() -> None:
    for ended_us, missing in ((sent(1), 0), (sent(1) + 1, 1), (sent(2) + 1, 2), (NEVER, 2)):
        members = [Member(ended_us=ended_us), Member()]
        main = Story(members, ticks(0) + ticks(0, 1, 2, member=1), range(START_US, due(3))).main()
        assert main.missing == missing


def test_the_first_end_counts() -> None:
    recorder = Recorder()
    index = recorder.add_connection("main")
    recorder.end_connection(index, sent(2))
    recorder.end_connection(index, sent(5))
    other = recorder.add_connection("main")
    recorder.measure(range(START_US, due(6)))
    log = ArrivalLog()
    for n in range(6):
        for who in (index, other) if n < 1 else (other,):
            log.append(who, log.add(TickFrame(n, due(n), sent(n), 50)), stamp(sent(n)))
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    assert recorder.groups[MAIN].missing == 1


def test_behind_the_goodbye_nothing_is_missing() -> None:
    members = [Member(ended_with_last=True, ended_us=due(5)), Member()]
    main = Story(members, ticks(0, 2) + ticks(0, 1, 2, 3, member=1), range(START_US, due(4))).main()
    assert counts(main) == (6, 1, 0, 0)


def test_ticks_between_the_welcome_and_the_first_frame_are_expected() -> None:
    everybody = ticks(0, 1, 2, 3, 4, member=1)
    window = range(START_US, due(5))
    for entered_us, missing in (
        (None, 0),
        (sent(3), 0),
        (sent(2), 0),
        (sent(2) - 1, 1),
        (sent(0), 2),
        (sent(0) - 1, 3),
    ):
        main = Story([Member(entered_us=entered_us), Member()], everybody + ticks(3, 4), window).main()
        assert counts(main) == (7, missing, 0, 0)
        assert main.tick_lateness.max_us == (100 + PERIOD_US * missing)


def test_a_frame_from_before_the_first_one_is_late_behind_the_welcome_and_before_it() -> None:
    members = [Member(entered_us=sent(0)), Member()]
    arrivals = ticks(0, 1, 2, 3, member=1) + ticks(3, 1, 0, 1)
    for cuts in ([], [5], [5, 6, 7]):
        main = Story(members, arrivals, range(START_US, due(4)), cuts=cuts).main()
        assert counts(main) == (7, 1, 1, 2), "what was not to be expected came all the same; it is no duplicate"


def test_only_the_first_welcome_counts() -> None:
    recorder = Recorder()
    recorder.add_connection("main")
    recorder.enter_connection(0, sent(0))
    recorder.enter_connection(0, sent(8))
    recorder.add_connection("main")
    recorder.measure(range(START_US, due(4)))
    log = ArrivalLog()
    for index, n in ((1, 0), (1, 1), (1, 2), (1, 3), (0, 2), (0, 3)):
        log.append(index, log.add(TickFrame(n, due(n), sent(n), 50)), stamp(sent(n)))
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (6, 1, 0, 0)


def test_a_connection_without_a_tick_misses_none() -> None:
    main = Story([Member(entered_us=START_US - 1), Member()], ticks(0, 1, member=1), range(START_US, due(2))).main()
    assert counts(main) == (2, 0, 0, 0)
    assert main.requested == 2


def test_a_server_that_falls_silent_is_missed() -> None:
    main = Story(ONE, steady(0, 0), range(START_US, due(10))).main()
    assert (main.received, main.missing) == (2, 8)


def test_workers_miss_a_server_that_fell_silent_before_the_window() -> None:
    story = Story(TWO, ticks(0) + ticks(0, 1, member=1), range(due(2), due(10)))
    alone, recorders = story.played(), [story.recorded(0), story.recorded(1)]
    shared_out(*recorders)
    for recorder in recorders:
        recorder.settle(END_US)
    assert alone.groups[MAIN].missing == 16
    assert [recorder.groups[MAIN].missing for recorder in recorders] == [8, 8]


def test_only_the_window_is_measured() -> None:
    main = Story(ONE, steady(*[100_000] * 10), range(due(3), due(6))).main()
    assert main.received == main.tick_lateness.count == 3
    assert main.interval_error.count == 2
    assert main.bytes == 300


def test_the_edges_of_the_window_are_due_times() -> None:
    arrivals = steady(0, 0, 0, 0)
    for first_us, stop_us, received in ((due(1), due(3), 2), (due(1) + 1, due(3), 1), (due(1), due(3) + 1, 3)):
        assert Story(ONE, arrivals, range(first_us, stop_us)).main().received == received


def test_before_anything_is_measured_nothing_counts() -> None:
    recorder = Recorder(PERIOD_US)
    recorder.add_connection("main")
    log = ArrivalLog()
    log.append(0, log.add(TickFrame(0, due(0), sent(0), 50)), stamp(due(0)))
    recorder.take(log.drain(), 0)
    assert counts(recorder.groups[MAIN]) == (0, 0, 0, 0)
    assert recorder.latest_lateness.count == 1, "but it shows in a table of what is going on"
    assert not recorder.caught_up()
    recorder.measure(range(due(0), due(1)))
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (0, 0, 0, 0), "it was told too late"


# Groups, stages, stretches


def test_groups_are_counted_apart() -> None:
    members = [Member(), Member(group="stalled")]
    recorder = Story(members, steady(100, 100) + steady(7000, member=1), range(START_US, due(2))).played()
    assert counts(recorder.groups[MAIN]) == (2, 0, 0, 0)
    assert counts(recorder.groups["stalled"]) == (1, 1, 0, 0)
    assert recorder.groups[MAIN].tick_lateness.max_us == 100
    assert recorder.latest_lateness.count == 2, "of the main group"
    assert [accounts.jitter.count for accounts in recorder.groups.values()] == [1, 0]
    assert recorder.group_of(1) is recorder.groups["stalled"]


def test_marks_are_counted_in_the_window() -> None:
    recorder = Recorder()
    recorder.add_connection("main", "left")
    recorder.measure(range(due(1), due(3)))
    log = ArrivalLog()
    for n in range(3):
        log.append(0, log.add(TickFrame(n, due(n), sent(n), 40)), b"" if n < 2 else stamp(sent(n)))
        log.mark_coalesced()
        log.mark_slow_parse()
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    left = recorder.groups["left"]
    assert (left.coalesced, left.slow_parse, left.unstamped, left.bytes) == (2, 2, 1, 80)


def test_a_staircase_has_its_steps_apart() -> None:
    members = [Member(), Member(group="left"), Member()]
    arrivals = steady(*[100] * 10) + steady(*[100] * 10, member=1) + ticks(5, 6, 9, member=2, delay_us=900)
    story = Story(members, arrivals, range(START_US, due(10)), stages=[0, 5 * PERIOD_US])
    recorder = story.recorded()
    recorder.end_stage(0)
    recorder.end_connection(2, due(10))
    recorder.end_stage(1)
    recorder.settle(END_US)
    assert [(stage.received, stage.missing) for stage in recorder.stages] == [(5, 0), (8, 2)]
    assert [stage.tick_lateness.count for stage in recorder.stages] == [5, 10]
    assert [stage.interval_error.count for stage in recorder.stages] == [4, 6]
    assert [stage.connections for stage in recorder.stages] == [2, 1]
    assert recorder.stages[1].tick_lateness.max_us == 2 * PERIOD_US + 900


def test_an_odd_due_time_is_in_the_step_where_it_was_sent() -> None:
    story = Story(ONE, ticks(0, 1, 2, 3), range(START_US, due(4)), odd=frozenset({2}), stages=[0, 2 * PERIOD_US])
    stages = story.played().stages
    assert [(stage.received, stage.interval_error.count) for stage in stages] == [(2, 1), (2, 2)]


def test_stretches_begin_two_seconds_before_the_window() -> None:
    period_us = STRETCH_US // 2
    recorder = Recorder(period_us)
    recorder.add_connection("main")
    recorder.add_connection("main", "left")
    start_us = START_US + 4 * period_us
    recorder.measure(range(start_us, start_us + 3 * STRETCH_US))
    log = ArrivalLog()
    for n in range(12):
        due_us = START_US + n * period_us
        for index in (0, 1):
            log.append(index, log.add(TickFrame(n, due_us, due_us, 50)), stamp(due_us + 10 * n + 1000 * index))
    recorder.take(log.drain(), 0)
    recorder.close()
    # Two ticks each: the last two of the warm-up first; what is due earlier or later is in none.
    assert [(stretch.count, stretch.max_us) for stretch in recorder.stretches] == [(2, 30), (2, 50), (2, 70), (2, 90)]


@pytest.mark.parametrize(("seconds", "stretches"), [(1, 2), (2, 2), (5, 3), (10, 6), (3600, 17)])
def test_a_window_has_a_stretch_every_two_seconds_up_to_a_limit(seconds: int, stretches: int) -> None:
    recorder = Recorder()
    recorder.measure(range(START_US, START_US + seconds * 1_000_000))
    assert len(recorder.stretches) == stretches


# Rooms


def test_an_echo_room_has_the_ticks_that_it_is_told_of() -> None:
    recorder = Recorder(PERIOD_US)
    recorder.add_connection("echo0", announced=True)
    recorder.measure(range(due(1), due(5)))
    log = ArrivalLog()
    for n in range(8):
        recorder.expect(0, n, due(n), sent(n))
    for n in (0, 1, 4):
        log.append(0, log.add(TickFrame(n, due(n), sent(n), 50)), stamp(sent(n)))
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (2, 2, 0, 0)
    assert unseen(recorder) == 0


def test_an_echo_that_never_came_back_is_missed_to_the_end_but_none_that_was_not_sent() -> None:
    recorder = Recorder(PERIOD_US)
    recorder.add_connection("echo0", announced=True)
    recorder.measure(range(due(0), due(50)))
    log = ArrivalLog()
    for n in range(4):
        recorder.expect(0, n, due(n), sent(n))
    log.append(0, log.add(TickFrame(0, due(0), sent(0), 50)), stamp(sent(0)))
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (1, 3, 0, 0)
    assert recorder.groups[MAIN].tick_lateness.max_us == END_US - due(1)


@pytest.mark.parametrize("overtaken", [False, True])
def test_our_own_messages_are_forgotten_when_they_have_come_back(overtaken: bool) -> None:
    recorder = Recorder(PERIOD_US)
    recorder.add_connection("echo0", announced=True)
    recorder.measure(range(due(0), due(6000)))
    log = ArrivalLog()
    for n in range(6000):
        recorder.expect(0, n, due(n), sent(n))
        came = [n] if n != 4000 else []
        for number in [*came, 4000] if overtaken and n == 4001 else came:
            log.append(0, log.add(TickFrame(number, due(number), sent(number), 50)), stamp(sent(n)))
        if n % 100 == 99:
            recorder.take(log.drain(), 0)
    assert len(recorder.rooms["echo0"]) <= 1000
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == ((6000, 0, 0, 1) if overtaken else (5999, 1, 0, 0))


def test_ticks_that_nobody_saw_and_the_server_did_not_skip_are_missing() -> None:
    story = Story([Member(room="r1")], ticks(0, 1, 4), range(START_US, due(5)))
    recorder = story.recorded()
    assert unseen(recorder) == 2
    assert recorder.explain_unseen({"r1": ServerSkips(0, 5, 2)}) == ({"r1": 2}, {}, {})
    assert recorder.explain_unseen({}) == ({"r1": 2}, {}, {"r1": 2}), "it does not say"
    assert recorder.explain_unseen({"r1": ServerSkips(0, 5, 0)}) == ({"r1": 2}, {"r1": 2}, {})
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (3, 2, 0, 0)
    assert unseen(recorder) == 0


def test_only_as_many_are_missing_as_were_lost() -> None:
    members, numbers = [Member() for _ in range(3)], (0, 3, 4, 7, 9)  # five due times are no ticks
    arrivals = [tick for member in range(3) for tick in ticks(*numbers, member=member)]
    recorder = Story(members, arrivals, range(START_US, due(10))).recorded()
    assert lost_ticks(recorder, skipped=4) == {"main": 1}
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (15, 3, 0, 0)


@pytest.mark.parametrize(
    ("first_n", "skipped", "lost", "unexplained"),
    [
        (0, 3, 0, 0),  # all three
        (0, 2, 0, 1),  # of 1, 2 and 4 one was lost: 4, which is in the window, or not
        (0, 1, 0, 1),  # two were lost
        (0, 0, 1, 0),  # all were
        (3, 0, 1, 0),  # asked later: only 4 is meant
        (3, 1, 0, 0),
        (5, 0, 0, 1),  # asked when it was over
    ],
)
def test_what_was_skipped_outside_the_window_leaves_it_open_what_was_in_it(
    first_n: int, skipped: int, lost: int, unexplained: int
) -> None:
    recorder = Story(ONE, ticks(0, 3, 5), range(due(3), due(6))).recorded()  # 1, 2 and 4 came to nobody
    of = recorder.explain_unseen({"main": ServerSkips(first_n, 6, skipped)})
    assert [of.all, of.lost, of.unexplained] == [{"main": count} if count else {} for count in (1, lost, unexplained)]
    recorder.settle(END_US)
    assert recorder.groups[MAIN].missing == lost


def test_a_lost_tick_at_either_edge_of_the_window_is_missing() -> None:
    recorder = Story(ONE, ticks(0, 2, 3, 5), range(due(1), due(5))).recorded()
    assert lost_ticks(recorder) == {"main": 2}
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (2, 2, 0, 0)


def test_a_window_of_which_nobody_saw_a_tick_is_missing() -> None:
    recorder = Story(ONE, ticks(0, 1, 5), range(due(2), due(5))).recorded()
    assert lost_ticks(recorder) == {"main": 3}
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (0, 3, 0, 0)


def test_a_lost_tick_behind_one_with_an_odd_due_time_is_missing() -> None:
    recorder = Story(ONE, ticks(0, 1, 2, 4), range(START_US, due(5)), odd=frozenset({2})).recorded()
    assert lost_ticks(recorder) == {"main": 1}
    recorder.settle(END_US)
    assert counts(recorder.groups[MAIN]) == (4, 1, 0, 0)
    assert recorder.groups[MAIN].tick_lateness.percentile_us(70) in range(PERIOD_US, PERIOD_US + 200)


def test_a_leap_of_n_is_no_lost_tick() -> None:
    recorder = Story(ONE, ticks(0, 1), range(START_US, END_US)).recorded()
    log = ArrivalLog()
    log.append(0, log.add(TickFrame(10**9, due(2), sent(2), 50)), stamp(sent(2)))
    recorder.take(log.drain(), 0)
    assert unseen(recorder) == 0
    assert lost_ticks(recorder) == {}
    recorder.close()


def test_due_times_of_a_room_that_was_empty_for_a_while_are_no_skipped_ticks() -> None:
    recorder = Story(ONE, ticks(0, 1), range(START_US, due(20))).recorded()
    recorder.count_inside(0, 1)
    log = ArrivalLog()
    log.append(0, log.add(TickFrame(9, due(9), sent(9), 50)), stamp(sent(9)))
    recorder.take(log.drain(), 0)
    assert unseen(recorder) == 7
    recorder.count_inside(0, -1)
    assert unseen(recorder) == 0
    assert lost_ticks(recorder) == {}
    recorder.close()


@pytest.mark.parametrize("group", [MAIN, "left"])
def test_caught_up_when_everybody_has_a_tick_from_behind_the_window(group: str) -> None:
    for late, caught_up in (([], False), (ticks(2, member=1), True)):
        arrivals = ticks(2) + ticks(1, member=1) + late
        recorder = Story([Member(), Member(group=group), Member()], arrivals, range(START_US, due(2))).recorded()
        assert recorder.caught_up() is caught_up
        recorder.end_connection(1, due(1))
        assert recorder.caught_up(), "nobody waits for who has left"
        recorder.close()


def test_a_frame_that_was_overtaken_is_waited_for() -> None:
    for late, caught_up in (([], False), (ticks(1, delay_us=90_000), True)):
        arrivals = ticks(0, 2, 3) + ticks(0, 1, 2, 3, member=1) + late
        recorder = Story([Member(), Member()], arrivals, range(START_US, due(3))).recorded()
        assert recorder.caught_up() is caught_up
        recorder.end_connection(0, due(1))
        assert recorder.caught_up(), "nobody waits for who has left"
        recorder.close()


def test_what_needs_no_common_clock_is_measured_without() -> None:
    def played(*estimates_us: int) -> Accounts:
        recorder = Recorder(PERIOD_US)
        recorder.add_connection("main")
        recorder.measure(range(START_US, due(3)))
        for n, ahead_us in enumerate(estimates_us):
            log = ArrivalLog()
            log.append(0, log.add(TickFrame(n, due(n), sent(n), 50)), stamp(due(n) + 1000 + 300 * n - 9))
            recorder.take(log.drain(), 9, ahead_us)
        recorder.settle(END_US)
        return recorder.groups[MAIN]

    same, other = played(0, 0, 0), played(0, 5000, -700)
    for name in ("interval_error", "pdv", "jitter"):
        assert getattr(other, name).summary() == getattr(same, name).summary()
    assert (same.tick_lateness.max_us, other.tick_lateness.max_us) == (1600, 6300)
    assert (same.delivery.max_us, other.delivery.max_us) == (1590, 6290)


def test_thousands_that_ended_early_cost_no_look_at_every_tick_behind() -> None:
    recorder = Recorder(PERIOD_US)
    for _ in range(501):
        recorder.add_connection("main")
    recorder.measure(range(START_US, due(20_000)))
    log = ArrivalLog()
    for n in range(20_000):
        log.append(500, log.add(TickFrame(n, due(n), sent(n), 50)), stamp(sent(n)))
    frame = log.add(TickFrame(0, due(0), sent(0), 50))
    for index in range(500):
        log.append(index, frame, stamp(sent(0)))
        recorder.end_connection(index, due(3))
    recorder.take(log.drain(), 0)
    looked_at = 0

    def count(frame: object, event: str, _: object) -> None:  # noqa: ARG001 - as sys.setprofile has it
        nonlocal looked_at
        looked_at += event == "call"

    sys.setprofile(count)
    try:
        recorder.settle(END_US)
    finally:
        sys.setprofile(None)
    assert recorder.groups[MAIN].missing == 1000
    assert looked_at < 100_000, "of ten million pairs of connection and tick"


def test_nobody_waits_for_who_does_not_read() -> None:
    recorder = Story(TWO, ticks(0, 1, 2) + ticks(0, member=1), range(START_US, due(2))).recorded()
    assert not recorder.caught_up()
    recorder.stop_reading(1)
    assert recorder.caught_up()
    recorder.close()


def test_an_odd_due_time_does_not_keep_us_waiting() -> None:
    recorder = Story(ONE, ticks(1, 2), range(START_US, due(2)), odd=frozenset({2})).recorded()
    assert recorder.caught_up()
    recorder.close()


def test_more_connections_than_there_was_room_for() -> None:
    recorder = Recorder()
    indexes = [recorder.add_connection(f"r{i // 10}") for i in range(3000)]
    assert indexes == list(range(3000))
    recorder.measure(range(START_US, END_US))
    log = ArrivalLog()
    frame = log.add(TickFrame(0, due(0), sent(0), 1))
    for index in indexes:
        log.append(index, frame, stamp(due(0) + 5))
    recorder.take(log.drain(), 0)
    recorder.settle(END_US)
    assert recorder.groups[MAIN].received == recorder.groups[MAIN].requested == 3000
    assert len(recorder.rooms) == 300
