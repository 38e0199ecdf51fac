"""
The summary of one load run: schema ``tickbench.load/1``, as written by the generator and read by the report.

History: 1, the first. A reader ignores fields it does not know; a field that is taken away or changes its
meaning makes a new number. (One exception: the memory of a connection was computed wrongly at first; where ``memory``
stands beside it, it is right.)
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Self

import msgspec

from shared.measure.histogram import Histogram, HistogramSummary
from shared.measure.machine_figures import MachineFigures
from shared.measure.quota import Count

SCHEMA: Final = "tickbench.load/1"


class ConnectionCounts(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of the connections; every one that was begun is in exactly one of connected to connecting.

    A connection that was lost to the generator's own limits counts as timed out.

    """

    requested: int
    connected: int
    """Got their first tick frame (an HTTP 101 alone is not enough)."""
    refused: int
    """Ended before its first tick frame by the server: no listener, an HTTP status, a close or an error."""
    timed_out: int
    """No first tick frame in time."""
    rush_per_second: float | None = None
    """Of those that were begun in the window: how many connected, divided by the time from the first connect(2) to when
    the last of them got its first tick frame; None without any."""
    connecting: int = 0
    """Had neither got their first tick frame nor failed when the run was over, or left before either."""
    closed_early: int
    """Of the connected: ended by the server, or by an error, before the run was over."""
    connect_ms: HistogramSummary
    """From connect(2) to the first tick frame."""
    tls_ms: HistogramSummary | None = None
    """The handshakes of TLS, from the first byte sent to the last one read; None where TLS is not spoken."""
    close_codes: dict[str, int] = {}
    """How many connections the server was the first to close, by the code of its close frame."""
    reasons: dict[str, dict[str, int]] = {}
    """By ``refused``, ``timed_out`` and ``closed_early``: how many connections, by the reason in words."""
    errors: dict[str, int] = {}
    """What the server sent against a protocol, in words, and on how many connections."""
    told: dict[str, int] = {}
    """The texts of ``error`` commands, and how many there were."""
    extensions: dict[str, int] = {}
    """Which extensions were agreed on, as the server answered (empty: none), and with how many connections: of all that
    were made, also of those that left between two slots."""


class FrameCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Tick frames of all connections in the measured window."""

    expected: int
    received: int
    """Ticks that arrived, without duplicates."""
    missing: int
    """Ticks that the server sent, as far as is known, and that did not arrive."""
    skipped: int = 0
    """Due times at which the server sent nothing to anybody, one for each connection that was in the room."""
    absent: int = 0
    """Due times of connections that should have been in the room, and were not: refused, closed early, server gone."""
    due: int | None = None
    """The sum of received, missing, skipped and absent; ``tick_lateness_ms`` has as many values."""
    due_times: int | None = None
    """Different due times, of all rooms."""
    due_times_missed: int | None = None
    """Of these, those at which at least one connection got nothing."""
    duplicate: int
    out_of_order: int
    coalesced: int
    """Arrived in one read with a later frame, so that their arrival time is an upper bound."""
    slow_parse: int
    """Did not begin as the protocol writes it, so that the whole frame had to be decoded."""
    per_second: float
    bytes: int
    """Of the texts of the tick frames."""
    wire_bytes: int | None = None
    """Of the frames that these came in, heads and all, compressed as they came; before TLS."""
    bytes_a_frame: float | None = None
    """The same for each of them, duplicates, too."""


class JitterSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Over the connections: the RFC 3550 jitter estimate that each had at its end, in ms; None without any."""

    p50: float | None
    p99: float | None
    max: float | None

    @classmethod
    def of(cls, estimates: Histogram) -> Self:
        """Return the figures of a histogram that holds one estimate a connection."""
        summary = estimates.summary()
        return cls(p50=summary.p50, p99=summary.p99, max=summary.max)


class GroupFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Connections that stalled, or left, by plan."""

    connections: ConnectionCounts
    frames: FrameCounts
    ticks_came: float | None = None
    reach: float | None
    tick_lateness_ms: HistogramSummary
    delivery_ms: HistogramSummary
    interval_error_ms: HistogramSummary


class StageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the measured window, of the connections that neither stalled nor left by plan."""

    start_s: float
    """Counted from the start of the window."""
    duration_s: float
    connections: int
    """Those that were open when it ended."""
    received: int
    missing: int
    ticks_came: float | None = None
    reach: float | None
    tick_lateness_ms: HistogramSummary
    interval_error_ms: HistogramSummary


class ReturnFigures(msgspec.Struct, frozen=True, kw_only=True):
    """
    Users who lost a connection that they were in, and came back as the page does, or not; all since the run began.

    What is expected of a connection ends with it: ticks that came to its room while the user was out are here alone.

    """

    cut: int
    """Such users, each once, however often."""
    back: int
    """Of these, those who were in again when the run was over."""
    gone: int
    """Those who did not try any more: the server did not want them, or they had tried for a minute."""
    away: int
    """Those who still tried when the run was over."""
    silence_ms: HistogramSummary
    """From the last tick frame of one connection to the first of the user's next; one value each time."""
    most_connects_per_second: int
    """The most connections that such users began in any second."""
    missing: int = 0
    """Of ``frames.missing`` those of connections that were cut off, while they held; others lost the rest."""
    rooms_spared: int
    """Rooms in which nobody lost a connection."""
    rooms_spared_missed: int
    """Of these, those in which a frame of the window that the server sent did not come to somebody."""
    rooms_spared_skipped: int
    """Of these, those in which a due time of the window was no tick for anybody."""


class ClockFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How the server's clock was known."""

    source: Literal["same host", "pings", "assumed"]
    uncertainty_ms: float | None
    """Of every one-way figure; None where it is unknown."""
    step_ms: float
    """The largest step of the generator's clock during the run."""


class WorkerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's part of a run; the histograms of all parts add up to those of the summary."""

    worker: int
    connected: int
    received: int
    """Frames of all groups."""
    cpu_percent: float
    cpus: list[int]
    loop_lag_ms: HistogramSummary
    tick_lateness_ms: HistogramSummary
    """Of the connections that neither stalled nor left by plan."""
    host: str = ""
    """The name of its host, where they ran on several: nobody has to know what one machine is called."""
    clock: ClockFigures | None = None
    """How it knew the server's clock; None in old summaries."""


class MemoryFigures(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the memory of a connection was measured: after the window more connections were opened, in steps.

    The value is the growth of the resident memory for each of them. Of the steps the two that grew most and the two
    that grew least are left out (a table that doubles, memory that was still free), and the others averaged.

    """

    low_bytes: float | None = None
    """Of the 95 % interval; None where there is no value."""
    high_bytes: float | None = None
    plateaus: list[tuple[int, int]] = []
    """Connections and resident bytes before the first step and after each."""
    why_not: str = ""
    """Why there is no value, in words; empty where there is one."""


class GeneratorFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How hard the load generator itself worked."""

    timestamps: Literal["kernel", "read"]
    """Where arrival times come from: the kernel's receive timestamp, or the clock at the read."""
    workers: int
    cpu_percent: float
    """Of one core, by the worker that took most."""
    us_per_frame: float | None
    """CPU time of all workers for each frame."""
    loop_lag_ms: HistogramSummary
    saturated: bool
    rss_bytes: int | None = None
    rss_per_connection_bytes: float | None = None
    """
    What one more connection takes in the workers, one that only watches, without Locust's user; None where
    :attr:`memory` says why.
    """
    memory: MemoryFigures | None = None
    """None: it was not asked for."""
    parts: list[WorkerFigures] = []


class ServerTicks(msgspec.Struct, frozen=True, kw_only=True):
    """The server's own tick figures: over the measured window or, in /stats, since it started."""

    count: Count
    skipped_ticks: Count
    overruns: Count
    start_lateness_ms: HistogramSummary
    compute_ms: HistogramSummary
    fanout_ms: HistogramSummary


class OtherConnections(msgspec.Struct, frozen=True, kw_only=True):
    """Connections of the server that were not the run's; at least so many."""

    before: int
    """Shortly before the window opened."""
    after: int
    """When no frame was expected any more."""
    came: int | None
    """All since before the run's first connection, ended or not; None where the server does not count them."""


class ServerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says of itself in /stats, over the measured window; None where it does not say."""

    cpu_percent: float | None = None
    rss_bytes: int | None = None
    rss_per_connection_bytes: float | None = None
    """
    What one more connection takes; None where :attr:`memory` says why. Where it has a value and :attr:`memory` is None,
    an older tickbench divided the growth by the connections, which is wrong by what was free on the heap.
    """
    memory: MemoryFigures | None = None
    """None: it was not asked for."""
    cpu_us_per_frame: float | None = None
    ticks: ServerTicks | None = None
    skipped_ticks: int | None = None
    slow_skips: int | None = None
    slow_closed: int | None = None
    frames_sent: int | None = None
    """Ticks' frames, to all connections; where it is known, ``cpu_us_per_frame`` is for each of these."""
    others: OtherConnections | None = None
    """Connections that these figures include though they were not the run's; None where the server does not tell."""


class Validity(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the numbers can be trusted, in words."""

    ok: bool
    reasons: list[str]
    """Why they cannot; empty when ok."""
    warnings: list[str]
    """What was found and does not spoil the numbers."""
    machine: list[str] = []
    """Those of the reasons that no server can cause: the machine spoiled the run, and it may be repeated."""
    generator: list[str] = []
    """Those of the reasons that say that the load generator itself was overloaded."""
    spared: dict[str, list[str]] = {}
    """By reason: the figures (names, or their beginnings) that it does not spoil. A reason that is not here spoils
    every figure."""

    @classmethod
    def of(
        cls,
        reasons: list[str],
        warnings: list[str],
        *,
        machine: Sequence[str] = (),
        generator: Sequence[str] = (),
        spared: Mapping[str, Sequence[str]] | None = None,
    ) -> Self:
        """Return the verdict: ok if there are no reasons."""
        return cls(
            ok=not reasons,
            reasons=reasons,
            warnings=warnings,
            machine=list(machine),
            generator=list(generator),
            spared={reason: list(figures) for reason, figures in (spared or {}).items() if figures},
        )

    def spoiled_by(self, figure: str) -> list[str]:
        """Return the reasons for which one figure cannot be trusted (``tick_lateness_ms.p99``); empty if it can."""
        if not self.ok and not self.reasons:
            return ["no reason was given"]
        return [
            reason
            for reason in self.reasons
            if not any(f"{figure}.".startswith(f"{spared}.") for spared in self.spared.get(reason, []))
        ]


FOR_ANOTHER = "the machine spoiled it for another arm"
"""Why a slot is left out that the machine spoiled for another arm, which ran at the same time."""


class SlotFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How the window was cut into slots, between which the server and the generator stood still."""

    slot_s: float
    """Seconds of one slot; what was measured in the kept ones is put together as if they were adjacent."""
    made: int
    kept: int
    thrown_s: float
    """Seconds after each waking that are in no slot: caches warm up again, and the first tick is late by the pause."""
    left_out: dict[str, int] = {}
    """How many slots the machine spoiled, by the reason without its numbers; one may have several. One that it spoiled
    for another arm, which ran at the same time, has that as its reason."""
    steal_percent: float | None = None
    """Steal of the measured core that had most of it, on average over all slots that were made, left-out ones too."""
    beside: bool = False
    """Whether other arms ran at the same time, on purpose."""


class StepDigests(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the rules did, tick by tick, in the room of the first connection.

    Servers that do the same work have the same digests for the same steps. A due time that the server skipped is no
    step, so steps are the ticks that came, in order.

    """

    first_n: int
    """Of the first tick that came."""
    crc32: str
    """For each n from ``first_n`` on 8 hex digits, zlib's CRC-32 of the commands behind ``tick`` as they were sent, or
    ``-`` where no tick came; with a space between."""
    conflicting: int = 0
    """Frames whose commands differ from those that another connection got for the same n."""


class LoadSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one load run; None for what this run did not measure."""

    schema: Literal["tickbench.load/1"] = SCHEMA
    url: str
    scenario: str
    started_at: str
    """Start of the measured window on the server's clock, UTC, ISO 8601; exact, as is ``duration_s``."""
    duration_s: float
    """Of the window; where it is cut into slots, of the kept ones together."""
    slots: SlotFigures | None = None
    """None: the window was measured in one piece."""
    tick_rate_hz: float | None
    connections: ConnectionCounts
    frames: FrameCounts
    ticks_came: float | None = None
    """Frames received / due times that all requested connections should have seen, whoever lost the others."""
    worst_room_in_time: float | None = None
    """Of the room where it was least: frames that came no later than half a period / those that were due there."""
    longest_silence_ms: float | None = None
    """The longest time in the window in which a connection that should have been in got no frame."""
    reach: float | None
    """Frames received / frames that the server sent to that connection's room while it was in."""
    tick_lateness_ms: HistogramSummary
    """Of all that was due: a tick that never came is as late as the next frame or, without one, as the run's end."""
    delivery_ms: HistogramSummary
    interval_error_ms: HistogramSummary
    pdv_ms: HistogramSummary
    jitter_rfc3550_ms: JitterSummary
    ping_rtt_ms: HistogramSummary
    input_ms: HistogramSummary | None = None
    groups: dict[str, GroupFigures] = {}
    stages: list[StageFigures] = []
    steps: StepDigests | None = None
    returns: ReturnFigures | None = None
    """None: users were not asked to come back."""
    generator: GeneratorFigures
    server: ServerFigures
    machine: MachineFigures
    clock: ClockFigures | None = None
    evidence: dict[str, Any] = {}
    """The data that the verdict rests on: checked again, they give the same verdict."""
    limits: dict[str, float] = {}
    """All thresholds of the verdict, by name."""
    validity: Validity

    def to_json(self) -> bytes:
        """Return the summary as it is written to a file: indented, ended by a newline."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def read_summary(data: bytes) -> LoadSummary:
    """
    Return the summary that :meth:`LoadSummary.to_json` gave.

    Raises:
        ValueError: not JSON, another schema, or a field is missing or of a wrong type; the message says which.

    """
    try:
        return msgspec.json.decode(data, type=LoadSummary)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a load summary of schema {SCHEMA}: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"not a load summary of schema {SCHEMA}: not UTF-8") from error
