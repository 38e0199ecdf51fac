"""What becomes of the connections of a story: as the recorder counts it, and as a slow and simple bookkeeper does."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

from loadtests.account.counts import MAIN, Accounts
from loadtests.account.presence import NEVER
from loadtests.account.recorder import Recorder
from loadtests.account.room_ticks import ServerSkips
from loadtests.account.settling import Unseen, explain_unseen
from loadtests.receive.arrivals import ArrivalLog, ArrivedTick
from shared.measure.histogram import Histogram
from tests.loadtests.account.test_counts import travelled
from tests.loadtests.receive.test_arrivals import stamp

PERIOD_US = 50_000
SEND_US = 10
"""From a tick's due time to when it is sent."""
ODD_US = 61_000_000
"""How long before it was sent a frame may say that it was due."""
START_US = 200_000_000
"""Due time of tick 0: no time is negative, however odd."""
CORRECTION_US = 7
LAST_N = 30
ALL_DUE = 150
"""Due times up to behind the end of any window."""
END_US = START_US + 200 * PERIOD_US


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
    asked_us: int = 0
    left: bool = False
    """It was its plan to end."""
    until_us: int = NEVER
    """When it would have left."""


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
            indexes[member] = index = recorder.add_connection(who.room, who.group, asked_us=who.asked_us)
            if who.entered_us is not None:
                recorder.presences.enter(index, who.entered_us)
            recorder.presences.end(index, who.ended_us)
            if who.ended_with_last:
                recorder.presences.end_with_last(index)
            if who.left:
                recorder.presences.leave(index)
            elif who.until_us < NEVER:
                recorder.presences.leave(index, who.until_us)
        recorder.measure(self.window, self.stages)
        log = ArrivalLog()
        for take in self.takes():
            for arrival in take:
                if arrival.member in indexes:
                    n = arrival.n
                    frame = log.add(ArrivedTick(n, self.stated_due(n), sent(n), 100))
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
    skipped: int = 0
    absent: int = 0
    duplicate: int = 0
    out_of_order: int = 0
    silence_us: int = 0
    lateness: Histogram = field(default_factory=Histogram)
    intervals: Histogram = field(default_factory=Histogram)
    pdv: Histogram = field(default_factory=Histogram)


class Book:
    """What a bookkeeper writes down who follows one connection after the other through all of a story."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.pages: defaultdict[str, Page] = defaultdict(Page)
        self.rooms: defaultdict[str, set[int]] = defaultdict(set)
        self.in_time: Counter[str] = Counter()
        """By room, of the main group: frames that came no later than half a period."""
        for arrival in story.arrivals:
            self.rooms[story.members[arrival.member].room].add(arrival.n)
        for number, member in enumerate(story.members):
            page = self.pages[member.group]
            ticks = [arrival for arrival in story.arrivals if arrival.member == number]
            if ticks:
                self._follow(page, member, ticks)
            else:
                self._wait_outside(page, member)

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
                self.in_time[member.room] += not member.group and tick.at_us - story.stated_due(n) <= PERIOD_US / 2
                deliveries.append(tick.at_us - sent(n))
        for delivery_us in deliveries:
            page.pdv.record(delivery_us - min(deliveries))
        expected = [tick for tick in self._expected(member, first, newest[-1]) if tick[0] not in got]
        for n, due_us in expected:
            page.missing += 1
            page.lateness.record(next((got[newer] for newer in newest if newer > n), END_US) - due_us)
        accounted = {*got, *(n for n, _ in expected)}
        for n in range(ALL_DUE):
            why = self._why_not(member, n, first, newest[-1]) if n not in accounted else ""
            page.skipped += why == "skipped"
            page.absent += why == "absent"
            if why:
                next_us = next((got[newer] for newer in newest if newer > n), END_US)
                page.lateness.record(next_us - self._placed(member, n))
        self._listen(page, member, [got[n] for n in newest])

    def _listen(self, page: Page, member: Member, came_us: list[int]) -> None:
        """Write down the longest time in the window without a frame that is newer than all before."""
        window, ended_us = self.story.window, -1 if member.ended_with_last else member.ended_us
        begin_us = came_us[0] if member.entered_us is None else member.entered_us
        edges = [begin_us, *came_us]
        if not (member.left and ended_us < 0):
            end_us = min(window.stop, ended_us if member.left else member.until_us)
            edges.append(END_US if ended_us == NEVER else end_us)
        silences = [b - max(a, window.start) for a, b in pairwise(edges) if a < window.stop]
        page.silence_us = max([page.silence_us, *silences])

    def _wait_outside(self, page: Page, member: Member) -> None:
        """Write down what was due to somebody who never got a tick."""
        window, room = self.story.window, self.rooms[member.room]
        until_us = -1 if member.left else member.until_us
        times = range(max(member.asked_us, window.start), min(until_us, window.stop))
        page.silence_us = max(page.silence_us, len(times))
        if room:
            dues = [at_us for n in range(ALL_DUE) if (at_us := self._placed(member, n)) in times]
        else:
            dues = [at_us for at_us in window[::PERIOD_US] if at_us in times]
        page.absent += len(dues)
        for due_us in dues:
            page.lateness.record(END_US - due_us)

    def _placed(self, member: Member, n: int) -> int:
        """When a due time is, by what was seen of the room: all that tells where each states one that is none."""
        room, odd = self.rooms[member.room], self.story.odd
        return sent(n) if n in room & odd or (room and room <= odd) else due(n)

    def _why_not(self, member: Member, n: int, first: int, last: int) -> str:
        """Why a due time brought nothing that was to be expected; empty if it was nobody's."""
        if self._placed(member, n) not in self.story.window:
            return ""
        ended_us = -1 if member.ended_with_last else member.ended_us
        seen = n in self.rooms[member.room]
        if n < first:
            told = member.entered_us is not None and self._placed(member, n) > member.entered_us
            return "skipped" if told and not seen else ""
        if n < last:
            return "" if seen else "skipped"
        if not seen and self._placed(member, n) < ended_us:
            return "skipped"
        if ended_us == NEVER or member.left:
            return ""
        return "absent" if self._placed(member, n) < member.until_us else ""

    def _expected(self, member: Member, first: int, last: int) -> list[tuple[int, int]]:
        """Return the ticks of the window that were sent while a connection was in its room, and when they were due."""
        story, room = self.story, self.rooms[member.room]
        ended_us = -1 if member.ended_with_last else member.ended_us
        seen = [n for n in room if first < n < last or _is_told(member, first, n) or (n > last and sent(n) < ended_us)]
        return [(n, story.stated_due(n)) for n in seen if story.measures(n)]


def _is_told(member: Member, first: int, n: int) -> bool:
    """Whether the connection's welcome came before its first tick, and ``n`` was sent in between."""
    entered_us = member.entered_us
    return entered_us is not None and n < first and entered_us < sent(n)


def counts(of: Accounts | Page) -> tuple[int, int, int, int]:
    return of.received, of.missing, of.duplicate, of.out_of_order


def unseen(recorder: Recorder) -> int:
    return sum(len(room.unseen(recorder.window)) for room in recorder.rooms.values())


def explained(recorder: Recorder, skips: dict[str, ServerSkips]) -> Unseen:
    return explain_unseen(recorder.rooms, skips, recorder.window)


def lost_ticks(recorder: Recorder, skipped: int = 0, first_n: int = 0, end_n: int = 10**6) -> dict[str, int]:
    """Explain what nobody saw by what the server says of each room; return what it did not skip."""
    skips = dict.fromkeys(recorder.rooms, ServerSkips(first_n, end_n, skipped))
    return explained(recorder, skips).lost


def shared_out(*recorders: Recorder) -> None:
    """Tell each what the others saw, as workers do."""
    seen = [
        {name: travelled(room.since(recorder.window.start - 3 * PERIOD_US)) for name, room in recorder.rooms.items()}
        for recorder in recorders
    ]
    for number, recorder in enumerate(recorders):
        for other, rooms in enumerate(seen):
            for name, columns in rooms.items():
                if other != number and name in recorder.rooms:
                    recorder.rooms[name].take_columns(columns)


def steady(*delays_us: int, member: int = 0) -> list[Arrival]:
    return [Arrival(member, n, delay_us) for n, delay_us in enumerate(delays_us)]


def ticks(*numbers: int, member: int = 0, delay_us: int = 100) -> list[Arrival]:
    return [Arrival(member, n, delay_us) for n in numbers]


ONE, TWO = [Member()], [Member(), Member()]
