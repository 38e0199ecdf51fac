"""
How the planted server errs: a law that the test knows as well. Knows nothing of sockets or clocks.

Every number that looks like chance comes from a seed, n and the connection, so that a test can ask the law for it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.support.planted_coat import EXTENSIONS
from tests.support.planted_wire import BAD_HANDSHAKES, GARBAGE

_MASK = 2**64 - 1


@dataclass(frozen=True)
class Law:
    """
    How it errs; every law is off by default.

    ``x_every=k`` does x with tick n on the i-th connection (from 0, of those that sent a first message) where n + i is
    a multiple of k; where "all" is said, with tick n on all connections where n is one; where "connections" is said,
    with the i-th connection where i is one; with handshakes, which are counted from 1, as with connections.
    The first tick of a connection is neither dropped nor swapped. Ticks are skipped, as due times of an overrun are,
    for all connections at once.
    """

    tick_rate_hz: int = 50
    lateness_ms: float = 0.0
    drop_every: int = 0
    repeat_every: int = 0
    swap_every: int = 0  # with the next tick
    split_every: int = 0  # into two writes
    fragment_every: int = 0  # into two frames
    space_every: int = 0  # white space in the head
    skip_every: int = 0  # all
    close_every: int = 0  # every so many-th connection ...
    close_after: int = 0  # ... after so many ticks; half closes, resets and garbage too
    refuse_every: int = 0  # so many-th handshake gets a 503
    pad_bytes: int = 300

    # When ticks are sent
    lateness: Mapping[str, Any] | None = None  # beside lateness_ms: kind, its figures, per, seed; see late_us()
    spacing_ms: float = 5.0  # the least time between frames that wait for one another; at most half a period
    early_every: int = 0  # all: states a due time ...
    early_ms: float = 0.0  # ... so long after sent_us
    very_late_every: int = 0  # all: states a due time ...
    very_late_s: float = 61.0  # ... so long before sent_us
    stall_every: int = 0  # all, not n = 0: after tick n nothing is read or sent ...
    stall_ms: float = 0.0  # ... for so long
    stall_skips: bool = True  # what became due in a stall is skipped; else sent, spaced
    drop_all_every: int = 0  # all: sent to nobody, though not skipped
    large_every: int = 0  # all: the text of tick n is ...
    large_bytes: int = 0  # ... so long

    # How connections end, or never begin
    close_code: int = 1001
    half_close_every: int = 0  # connections: a FIN without a close frame
    reset_every: int = 0  # connections: a RST
    silent_every: int = 0  # handshakes: never answered
    mute_every: int = 0  # handshakes: answered, but no frame ever comes
    bad_handshake: Mapping[str, int] = field(default_factory=dict)  # name: every, of handshakes; see pick()
    garbage: Mapping[str, int] = field(default_factory=dict)  # name: every, of connections, once each; see pick()

    # How what it says travels
    deflate: str = ""  # how contexts are kept: a word of planted_coat, of those who offer to take compressed messages
    tls: str = ""  # a file with a certificate and its key
    login: str = ""  # who says anything else as Authorization gets a 401, if there is one

    # What else it says
    ping_every: int = 0  # all: a ping goes before the tick
    welcome: bool = False  # handshake, world and top scores answer the first message
    pongs: bool = False  # ["ping", t] is answered
    stats: bool = False  # there is a /stats, ...
    prefix: str = ""  # under which it is
    stats_cores: bool = True  # it says on which cores it runs, so that it is known who else took them
    stats_times: int = 0  # ... and so often, if that is not 0; then nobody gets an answer
    boot_id: str = ""  # of this host, if none is given
    clock_shift_us: int = 0  # all stated times, so due_us and sent_us in the record too, are so far ahead
    claim_slow_skips: int = 0  # what /stats says, ...
    claim_skipped_ticks: int = 0
    claim_after_s: float = 2.0  # ... 0 until so long after the first player came
    claim_throttled_us: int = 0
    counts_back: bool = False  # from then on the CPU time in /stats is less than before
    life_s: float = 900.0  # ends by itself after so long: whoever started it may have died

    def __post_init__(self) -> None:
        for names, table in ((self.garbage, GARBAGE), (self.bad_handshake, BAD_HANDSHAKES)):
            if unknown := set(names) - set(table):
                raise ValueError(f"unknown: {sorted(unknown)}; known are {sorted(table)}")
        if self.deflate and self.deflate not in EXTENSIONS:
            raise ValueError(f"unknown: {self.deflate}; known are {sorted(EXTENSIONS)}")
        if self.lateness is not None:
            self.late_us(0, 0)

    def hits(self, every: int, n: int, connection: int) -> bool:
        return every > 0 and (n + connection) % every == 0

    def due_us(self, n: int) -> int:
        """Return when tick n is due, from the server's start."""
        return n * 1_000_000 // self.tick_rate_hz

    @cached_property
    def period_us(self) -> int:
        return 1_000_000 // self.tick_rate_hz

    @cached_property
    def gap_us(self) -> int:
        return min(int(self.spacing_ms * 1000), self.period_us // 2)

    @cached_property
    def late_by_frame(self) -> bool:
        return self.lateness is not None and self.lateness.get("per", "tick") == "frame"

    @cached_property
    def late_by_tick(self) -> bool:
        return self.lateness is not None and not self.late_by_frame

    @cached_property
    def minds_connections(self) -> bool:
        """Whether the connections of a room may get different frames of one tick."""
        everies = (
            self.drop_every, self.repeat_every, self.swap_every, self.split_every, self.fragment_every,
            self.space_every,
        )  # fmt: skip
        return any(everies)

    def late_us(self, n: int, connection: int) -> int:
        """
        Return how late ``lateness`` has tick n sent, beside lateness_ms and what it waits for the frame before it.

        ``{"kind": "constant", "ms": 3}``; ``{"kind": "two_peaks", "ms": [2, 20], "share": 0.2}``, the share of 20 ms;
        ``{"kind": "heavy_tail", "scale_ms": 1, "alpha": 1.1, "max_ms": 500}``: Pareto's, from 1 ms, capped;
        ``{"kind": "settling", "ms": 200, "tau_s": 3}``: less and less, by e every 3 s. ``per`` is
        "tick" (default: all connections alike) or "frame", ``seed`` 0 by default.

        """
        spec = self.lateness
        if spec is None:
            return 0
        luck = chance(spec.get("seed", 0), n, connection if self.late_by_frame else 0)
        match spec["kind"]:
            case "constant":
                ms = spec["ms"]
            case "two_peaks":
                ms = spec["ms"][luck <= spec["share"]]
            case "settling":
                ms = spec["ms"] * math.exp(-n / (self.tick_rate_hz * spec["tau_s"]))
            case "heavy_tail":
                ms = min(spec["scale_ms"] / luck ** (1 / spec["alpha"]), spec["max_ms"])
            case kind:
                raise ValueError(f"unknown kind of lateness: {kind}")
        return int(ms * 1000)

    def garbage_for(self, connection: int) -> str | None:
        return pick(self.garbage, connection)

    def bad_handshake_for(self, handshake: int) -> str | None:
        return pick(self.bad_handshake, handshake)

    def end_for(self, connection: int) -> str | None:
        """Return how the server ends a connection."""
        if self.garbage_for(connection) == "truncated":
            return "half_close"
        everies = {"half_close": self.half_close_every, "reset": self.reset_every, "close": self.close_every}
        return next((name for name, every in everies.items() if every and connection % every == 0), None)


def pick(table: Mapping[str, int], number: int) -> str | None:
    """
    Return what the first entry that hits says for the number-th of them, None without any.

    The j-th entry (from 0) hits where number + j is a multiple of its k: entries of one k share the numbers out.

    """
    return next((name for j, (name, every) in enumerate(table.items()) if every and (number + j) % every == 0), None)


def chance(seed: int, n: int, connection: int) -> float:
    """Return a number above 0, at most 1, as good as drawn evenly: SplitMix64's last steps over the three."""
    x = (seed * 0x9E3779B97F4A7C15 + n * 0xD1B54A32D192ED03 + connection * 0x8CB92BA72F3D8DD7 + 1) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((x ^ (x >> 31)) + 1) / 2**64
