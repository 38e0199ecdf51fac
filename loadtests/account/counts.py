"""
The counters and histograms of a run: of each group of connections, and of each stage of the window.

Those of several workers add up exactly.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Protocol, Self, TypeVar

from msgspec import Struct, field

from loadtests.receive.endings import Fate
from shared.measure.histogram import Histogram
from shared.printable import plain

MAIN = ""
"""The group of all connections that neither stall nor leave by plan: the figures at the top of a summary."""
STALLED = "stalled"
"""The group of connections that stop reading by plan."""
SEEN_OFF = "seen off"
"""The group of connections that were there, and left between two slots as fewer users were asked for."""
MAX_REASONS = 50
"""Different texts that are counted apart, as a server can make up any number."""

NEVER_CONNECTED = (Fate.REFUSED, Fate.TIMED_OUT, Fate.OWN_LIMIT)


class CanAdd(Protocol):
    """A histogram, or what is made of numbers, histograms and counters."""

    def add(self, other: Self) -> None:
        """Count all that ``other`` counted."""


Counts = TypeVar("Counts", bound=CanAdd)


def total(of: Iterable[Counts]) -> Counts:
    """Return a new sum of one or more of a kind, which stay as they are."""
    first, *others = of
    whole = type(first)()
    for each in (first, *others):
        whole.add(each)
    return whole


class Additive(Struct):
    """Numbers, histograms and counters that can be added; of what is the ``longest``, the longer one counts."""

    def add(self, other: Self) -> None:
        """Count all that ``other`` counted."""
        for name in self.__struct_fields__:
            mine, its = getattr(self, name), getattr(other, name)
            if isinstance(mine, Histogram):
                mine.add(its)
            elif isinstance(mine, Counter):
                mine.update(its)
            elif name.startswith("longest"):
                setattr(self, name, max(mine, its))
            else:
                setattr(self, name, mine + its)


class TickCounts(Additive):
    """What became of the ticks that were due; all histograms are in microseconds."""

    received: int = 0
    missing: int = 0
    skipped: int = 0
    """Due times for which nobody got a tick, while a connection was in the room."""
    absent: int = 0
    """Due times at which a connection should have been in the room, and was not: refused, or closed early."""
    tick_lateness: Histogram = field(default_factory=Histogram)
    interval_error: Histogram = field(default_factory=Histogram)

    @property
    def expected(self) -> int:
        """Frames that should have been received; known when the accounts are settled."""
        return self.received + self.missing

    @property
    def due(self) -> int:
        """Ticks that were due to all the connections that were asked for; known as above."""
        return self.expected + self.skipped + self.absent

    @property
    def reach(self) -> float | None:
        """Frames received of those expected; None without any."""
        return self.received / self.expected if self.expected else None

    @property
    def ticks_came(self) -> float | None:
        """Frames received of the ticks that were due; None without any."""
        return self.received / self.due if self.due else None


OF_CONNECTIONS = (
    "requested", "connected", "connect", "tls", "extensions", "ends", "fates", "close_codes", "errors", "told",
)  # fmt: skip
"""The fields of :class:`Accounts` that say what became of connections: since the run began, not since a window did."""


class Accounts(TickCounts):
    """The counts of one group of connections."""

    requested: int = 0
    """Connections that were begun."""
    connected: int = 0
    """Connections that got their first tick frame."""
    connect: Histogram = field(default_factory=Histogram)
    tls: Histogram = field(default_factory=Histogram)
    """Handshakes of TLS."""
    extensions: Counter[str] = field(default_factory=Counter)
    """Those whose handshake was answered, by the extensions that were agreed on."""
    ends: Counter[str] = field(default_factory=Counter)
    """By the :class:`~loadtests.receive.endings.Fate` and the reason in words, as ``refused: HTTP status 503``."""
    fates: Counter[str] = field(default_factory=Counter)
    """By the value of the fate alone."""
    close_codes: Counter[int] = field(default_factory=Counter)
    """Of the server's close frames that came before we began to close."""
    errors: Counter[str] = field(default_factory=Counter)
    """What the server sent that the WebSocket protocol forbids, in words."""
    told: Counter[str] = field(default_factory=Counter)
    """The texts of ``error`` commands."""
    missing_cut: int = 0
    """Of the missing, those of connections whose user was cut off and comes back."""
    longest_silence_us: int = 0
    """The longest time in the window in which a connection got no frame, though it was there or should have been."""
    duplicate: int = 0
    out_of_order: int = 0
    coalesced: int = 0
    slow_parse: int = 0
    unstamped: int = 0
    bytes: int = 0
    wire_bytes: int = 0
    negative_deliveries: int = 0
    delivery: Histogram = field(default_factory=Histogram)
    pdv: Histogram = field(default_factory=Histogram)
    jitter: Histogram = field(default_factory=Histogram)
    """One estimate a connection."""
    input: Histogram = field(default_factory=Histogram)
    """From a key to the tick frame that shows the turn."""

    def of_connections(self) -> dict[str, Any]:
        """Return what became of the connections, as the fields of other accounts."""
        return {name: getattr(self, name) for name in OF_CONNECTIONS}

    @property
    def settled(self) -> int:
        """How many connections have either got their first tick frame or come to an end before it."""
        return self.connected + sum(self.fates[fate.value] for fate in NEVER_CONNECTED)

    def count_end(self, fate: Fate, why: str) -> None:
        """Count the end of a connection."""
        self.fates[fate.value] += 1
        count_text(self.ends, f"{fate.value}: {why}")

    def reasons(self, fate: Fate) -> dict[str, int]:
        """Return why connections came to such an end, and how many, the most frequent first."""
        start = f"{fate.value}: "
        return {end.removeprefix(start): n for end, n in self.ends.most_common() if end.startswith(start)}

    def in_words(self, *fates: Fate) -> str:
        """Say why connections came to such ends, the most frequent reason first."""
        reasons = sum((Counter(self.reasons(fate)) for fate in fates), Counter[str]())
        return most_of(reasons)


class StageAccounts(TickCounts):
    """The counts of one stage of the window (by due time), for the connections of the main group."""

    connections: int = 0
    """Connections that were up when the stage ended."""


def most_of(counts: Counter[str]) -> str:
    """Say in words which were the most, and how many of each."""
    return ", ".join(f"{count} x {text}" for text, count in counts.most_common(5))


def count_text(counts: Counter[str], text: str) -> None:
    """Count a text that the server may have made up; it is kept in a form that is safe to print."""
    text = plain(text)
    counts[text if text in counts or len(counts) < MAX_REASONS else "others"] += 1
