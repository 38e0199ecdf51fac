"""
Users who lost a connection that they were in: who came back, how long each heard nothing, and how fast they came.

What was expected of a connection ends with it, so what its user missed until the next one stands here alone.
"""

from collections.abc import Iterable

from msgspec import field

from loadtests.account.counts import MAIN, Additive
from loadtests.account.recorder import Recorder
from shared.measure.histogram import Histogram

A_SECOND_US = 1_000_000


class Returns(Additive):
    """What became of them since the run began."""

    cut: int = 0
    """Users who lost a connection that they were in, each once, however often."""
    back: int = 0
    """Of these, those who were in again when the run was over."""
    gone: int = 0
    """Those who did not try any more: they are not wanted, or tried for too long. The others still did."""
    silence: Histogram = field(default_factory=Histogram)
    """From the last tick frame of one connection to the first of the user's next, each time that one came back."""
    tries_us: list[int] = field(default_factory=list)
    """When each of their connections was begun, on the server's clock."""
    rooms: list[str] = field(default_factory=list)
    """Those that somebody was cut off in; one may be there for each worker."""

    @property
    def away(self) -> int:
        """Those who still tried when the run was over."""
        return self.cut - self.back - self.gone

    @property
    def most_in_a_second(self) -> int:
        """The most connections that were begun in any second."""
        return most_in_a_second(self.tries_us)


def most_in_a_second(times_us: Iterable[int]) -> int:
    """Return how many of these times are in the second, whenever it begins, that has most of them."""
    times = sorted(times_us)
    first = most = 0
    for index, at_us in enumerate(times):
        while at_us - times[first] >= A_SECOND_US:
            first += 1
        most = max(most, index - first + 1)
    return most


class ReturnLedger:
    """Is told by the users of a worker what they do; ``recorder`` accounts for their connections."""

    def __init__(self, recorder: Recorder) -> None:
        self.settled = 0
        """How many of their connections have come to a first tick frame, or to nothing."""
        self._recorder = recorder
        self._out: dict[int, int] = {}  # the connection that each user lost who is not in again
        self._cut: set[int] = set()
        self._gone: set[int] = set()
        self._crossings: list[tuple[int, int]] = []  # a connection that was lost, and its user's next one that got in
        self._tries_us: list[int] = []
        self._rooms: set[str] = set()

    def lose(self, user: int, index: int) -> None:
        """Say that a user lost a connection that he was in."""
        self._cut.add(user)
        self._out[user] = index
        self._rooms.add(self._recorder.lives.room(int(self._recorder.presences.room[index])))

    def forgive(self, index: int) -> None:
        """Expect nothing of a connection behind its end, as its user will come back."""
        self._recorder.presences.cut(index)

    def begin(self, at_us: int) -> None:
        """Say that a connection is begun; add to :attr:`settled` when it is known what came of it."""
        self._tries_us.append(at_us)

    def come_back(self, user: int, index: int) -> None:
        """Say that a user is in again."""
        self._crossings.append((self._out.pop(user), index))

    def give_up(self, user: int) -> None:
        """Say that a user does not try any more."""
        self._gone.add(user)

    def sum_up(self, ahead_us: int) -> Returns:
        """
        Return what became of all, once the accounts of the window are settled.

        Their silences count among those of the window, too; the server's clock is ``ahead_us`` before that of arrivals.
        """
        of, window = self._recorder.presences, self._recorder.window
        start_us, stop_us = window.start - ahead_us, window.stop - ahead_us
        crossings = [(int(of.last_arrival_us[old]), int(of.first_arrival_us[new])) for old, new in self._crossings]
        silence = Histogram()
        for last_us, first_us in crossings:
            silence.record(first_us - last_us)
        unended = [(int(of.last_arrival_us[old]), stop_us) for old in self._out.values()]
        longest_us = max((min(to, stop_us) - max(since, start_us) for since, to in [*crossings, *unended]), default=0)
        main = self._recorder.groups[MAIN]
        main.longest_silence_us = max(main.longest_silence_us, longest_us)
        return Returns(
            cut=len(self._cut),
            back=len(self._cut) - len(self._out),
            gone=len(self._gone),
            silence=silence,
            tries_us=self._tries_us,
            rooms=sorted(self._rooms),
        )
