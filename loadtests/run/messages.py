"""
What the processes of one run tell each other: orders from the conductor, reports from its workers.

Locust's messages carry them as msgpack. A report travels with Locust's own (``report_to_master``).
"""

from collections import Counter
from typing import Any, Generic, Literal, TypeVar

import msgspec

from loadtests.account.locust_rows import LocustRows
from loadtests.account.room_ticks import ServerSkips, TickColumns
from loadtests.account.worker_record import WorkerRecord
from shared.measure.histogram import Histogram, HistogramSummary
from shared.wire.target import Header

Phase = Literal["coming", "measuring", "drained", "settled", "still", "waking"]
MessageKind = TypeVar("MessageKind")


class MessageError(ValueError):
    """What came is no such message of this load test."""


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True):
    """How far a worker has got."""

    failed: str = ""
    """Why it could not begin, or can't go on, in one line; empty as long as it can."""
    phase: Phase = "coming"
    users: int = 0
    """Users that Locust has started."""
    settled: int = 0
    """Users that have connected, have failed to, or wait for a stage of the window."""
    up: int = 0
    """Connections that got a tick frame."""
    leaving: int = 0
    """Connections that were told to leave, and still are there."""
    why_none: str = ""
    """Why others did not get one."""
    open: int = 0
    """Connections that are open, or that the server may still have open."""
    rss_bytes: int = 0
    woke_us: int = 0
    """When it went on the last time that it stood still, on the server's clock."""
    extra_up: int = 0
    """This and the next three are of :class:`~loadtests.run.extra_connections.ExtraConnections`."""
    extra_settled: int = 0
    why_no_extra: str = ""
    had_extra: bool = False
    """Whether this process had extra connections in a run before."""
    rows: LocustRows | None = None
    """What came so far, for a table."""
    seen: dict[str, TickColumns] = {}
    """Once drained: the ticks that it saw of the rooms that other workers may share."""
    record: WorkerRecord | None = None
    """What it measured, once its accounts are settled."""
    checkout: str = ""
    """As :func:`~loadtests.run.checkout.checkout` says there; empty of one that is too old to say."""


class Measure(msgspec.Struct, frozen=True, tag=True):
    """The window begins and ends, in microseconds of the server's clock."""

    start_us: int
    end_us: int
    last_counts: bool = True
    """Whether the window before it was a good one."""


class Stand(msgspec.Struct, frozen=True, tag=True):
    """
    Say nothing to the server until told otherwise: it is about to be stopped, or was and runs again.

    What comes when it runs again is late by the pause, and belongs to no window.

    """

    still: bool


class Settle(msgspec.Struct, frozen=True, tag=True):
    """Nothing is expected any more."""

    ticks: dict[str, list[TickColumns]]
    """What other workers saw of each room: only all of them together know what each should have received."""
    skips: dict[str, ServerSkips]
    """What the server says that it skipped, by room; nothing where it does not say."""


class Bring(msgspec.Struct, frozen=True, tag=True):
    """There shall be so many extra connections in all; with 0 all leave."""

    total: int


class Leave(msgspec.Struct, frozen=True, tag=True):
    """Those who came last leave, so that there are so many users: between two slots, where all are connected."""

    users: int


Order = Measure | Stand | Settle | Bring | Leave


class Envelope(msgspec.Struct, Generic[MessageKind], frozen=True):
    """A report or an order; one on another run than the current one is ignored."""

    run: str
    of: MessageKind


class RunStart(msgspec.Struct, frozen=True):
    """What a worker must know to begin, beside the options that Locust sends it."""

    run: str
    host: str
    spawn_rate: float
    """This worker's share of it, in users a second."""
    login: tuple[Header, ...] = ()
    """The user and the password of the URL, which are not in ``host``."""
    checkout: str = ""
    """As of the report."""


def encode(message: Any) -> bytes:
    """Return a message, or a part of one, as msgpack."""
    return msgspec.msgpack.encode(message, enc_hook=_plain)


def decode(data: Any, kind: type[MessageKind]) -> MessageKind:
    """
    Return the message that :meth:`encode` gave ``data``.

    Raises:
        MessageError: it is none of that kind; the text says why in one line.

    """
    try:
        return msgspec.msgpack.decode(data, type=kind, dec_hook=_rebuilt)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise MessageError(f"no message of this load test: {error}") from error


def _plain(value: Any) -> HistogramSummary:
    if isinstance(value, Histogram):
        return value.summary()
    raise NotImplementedError


def _rebuilt(kind: type, value: Any) -> Histogram | Counter[Any]:
    if kind is Histogram:
        return Histogram.from_summary(msgspec.convert(value, HistogramSummary))
    return Counter(value)
