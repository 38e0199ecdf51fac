"""Records how the connections of a run begin, fail and end, with all times converted to the server's clock."""

import sys
from collections.abc import Iterable

from loadtests.account.counts import MAIN, NEVER_CONNECTED, SEEN_OFF, Accounts, count_text
from loadtests.account.join_rate import NO_JOINS, JoinRate
from loadtests.account.recorder import Recorder
from loadtests.receive.arrivals import ArrivedTick
from loadtests.receive.endings import ConnectionObserver, Ending, Fate
from loadtests.receive.stamps import now_us
from loadtests.surroundings.clocks import ServerClock
from shared.measure.histogram import Histogram


class ConnectionRecord(ConnectionObserver):
    """
    The observer of all connections.

    Where users come back it ``tells_lives`` of rooms apart: by default a room has one.

    """

    def __init__(self, recorder: Recorder, clock: ServerClock, *, tells_lives: bool = False) -> None:
        super().__init__()
        self.ping_rtt = Histogram()
        """Of the pings that were sent from :meth:`begin_pings` to :meth:`end_pings`, whenever they came back."""
        self.join_rate = NO_JOINS
        self._recorder = recorder
        self._clock = clock
        self._tells_lives = tells_lives
        self._inside: set[int] = set()
        self._pinged = range(sys.maxsize)

    def begin_pings(self) -> None:
        """Forget all round trips, and those of the pings that are on their way: the server may have been stopped."""
        self.ping_rtt, self._pinged = Histogram(), range(now_us(), sys.maxsize)

    def end_pings(self) -> Histogram:
        """Record none that is sent from now on; return where those are recorded that were sent before."""
        self._pinged = range(self._pinged.start, now_us())
        return self.ping_rtt

    @property
    def settled(self) -> int:
        """How many connections have either got their first tick frame or come to an end before it."""
        return sum(accounts.settled for accounts in self._present())

    @property
    def up(self) -> int:
        """How many connections got their first tick frame, without those that were told to leave."""
        return sum(accounts.connected for accounts in self._present())

    @property
    def leaving(self) -> int:
        """How many connections were told to leave and have not come to their end yet."""
        accounts = self._recorder.groups.get(SEEN_OFF, Accounts())
        return accounts.requested - accounts.fates.total()

    def open_since(self, over: int) -> int:
        """Return how many connections were open at some time since ``over`` of them had ended."""
        return sum(accounts.requested for accounts in self._recorder.groups.values()) - over

    @property
    def over(self) -> int:
        """How many connections have come to an end, or to nothing."""
        return sum(accounts.fates.total() for accounts in self._recorder.groups.values())

    def why_none(self) -> str:
        """Say why connections never got a tick frame."""
        return ", ".join(
            words for accounts in self._recorder.groups.values() if (words := accounts.in_words(*NEVER_CONNECTED))
        )

    def see_off(self, index: int) -> None:
        """Count a connection as none of those that are there, between two windows: it is about to leave, as ordered."""
        accounts = self._recorder.group_of(index)
        accounts.requested, accounts.connected = accounts.requested - 1, accounts.connected - 1
        self._recorder.put_in(index, SEEN_OFF)

    def _present(self) -> Iterable[Accounts]:
        return (accounts for name, accounts in self._recorder.groups.items() if name != SEEN_OFF)

    def entered(self, index: int, arrival_us: int) -> None:
        """Expect the ticks that are sent to a connection from now on."""
        self._recorder.presences.enter(index, arrival_us + self._clock.correction_us)

    def secured(self, index: int, us: int) -> None:
        """Record how long a handshake of TLS took."""
        self._recorder.group_of(index).tls.record(us)

    def agreed(self, index: int, extensions: str) -> None:
        """Count what was agreed on."""
        count_text(self._recorder.group_of(index).extensions, extensions)

    def began(self, index: int, tick: ArrivedTick) -> None:
        """Expect the ticks of the life of the room that this one is of."""
        if self._tells_lives:
            self._recorder.begin(index, tick)

    def connected(self, index: int, started_us: int, arrival_us: int) -> None:
        """Count a first tick frame, and how long it took since connect(2)."""
        accounts = self._recorder.group_of(index)
        accounts.connected += 1
        accounts.connect.record(arrival_us - started_us)
        if accounts is self._recorder.groups[MAIN]:
            start_us, end_us = (us + self._clock.correction_us for us in (started_us, arrival_us))
            if start_us in self._recorder.window:
                self.join_rate = self.join_rate.joined(JoinRate(1, start_us, end_us))
        self._inside.add(index)
        self._recorder.count_inside(index, 1)

    def ended(self, index: int, ending: Ending) -> None:
        """Count an end."""
        accounts = self._recorder.group_of(index)
        accounts.count_end(ending.fate, ending.why)
        if ending.close_code is not None:
            accounts.close_codes[ending.close_code] += 1
        if ending.broke_protocol:
            count_text(accounts.errors, ending.why)
        if self._tells_lives and ending.fate is Fate.CLOSED_EARLY:
            self.log.steps.close()
        if ending.fate is Fate.LEFT:
            self._recorder.presences.leave(index)
        # What the server sent it before its close frame came before that, however long a proxy kept both.
        if ending.complete or (self._tells_lives and ending.close_code is not None):
            self._recorder.presences.end_with_last(index)
        else:
            self._recorder.presences.end(index, ending.at_us + self._clock.correction_us)
        if index in self._inside:  # one can leave before the first tick, too
            self._inside.remove(index)
            self._recorder.count_inside(index, -1)

    def told(self, index: int, error: str) -> None:
        """Count an ``error`` command."""
        count_text(self._recorder.group_of(index).told, error)

    def ponged(self, sent_us: int, server_us: int, arrival_us: int) -> None:
        """Record a round trip, and what it says about the server's clock."""
        if sent_us in self._pinged:
            self.ping_rtt.record(arrival_us - sent_us)
        self._clock.learn(sent_us, server_us, arrival_us)
