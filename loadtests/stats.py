"""What the server says of itself in /stats. A server that has no such page is loaded all the same."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING, Annotated

import msgspec

from loadtests.client import reason_of
from loadtests.probe import NoServerError, knock
from loadtests.stamps import now_us
from shared.measure.histogram import Histogram, HistogramSummary
from shared.measure.summary import ServerFigures, ServerTicks

if TYPE_CHECKING:
    from loadtests.client import Address
    from shared.wire.target import Target

TIMEOUT_S = 10.0
MAX_BYTES = 16 * 1024 * 1024


class RoomStats(msgspec.Struct, frozen=True):
    """One of ``rooms``."""

    name: str
    n: int = 0
    """The tick that comes next."""
    skipped_ticks: int = 0


class TickStats(msgspec.Struct, frozen=True):
    """``ticks``."""

    count: int
    skipped_ticks: int
    overruns: int
    start_lateness_ms: HistogramSummary
    compute_ms: HistogramSummary
    fanout_ms: HistogramSummary


class ProcessStats(msgspec.Struct, frozen=True):
    """``process``."""

    pid: int
    cpu_s: float
    rss_bytes: int
    cpus: list[int] | None = None
    children: list[int] = []


class ServerStats(msgspec.Struct, frozen=True):
    """As much of /stats as the generator has a use for."""

    boot_id: str
    clock_offset_us: int
    now_us: int
    tick_rate_hz: Annotated[float, msgspec.Meta(gt=0)]
    connections: int
    ticks: TickStats
    process: ProcessStats
    rooms: list[RoomStats] = []
    slow_skips: int = 0
    slow_closed: int = 0
    asked_us: int = 0
    """When we asked, on our CLOCK_REALTIME; as the next, not from the page."""
    answered_us: int = 0


def fetch_stats(target: Target, address: Address) -> ServerStats | None:
    """
    Return what the server of ``target`` at ``address`` says, None if it has no /stats of ours.

    Raises:
        OSError: it can't be reached, or does not answer in time.

    """
    connection = http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT_S)
    family, where = address
    try:
        # Not whichever address its name has by now.
        connection.sock = socket.socket(family, socket.SOCK_STREAM)
        connection.sock.settimeout(TIMEOUT_S)
        connection.sock.connect(where)
        asked_us = now_us()
        connection.request("GET", "/stats", headers={"Host": target.authority, "Connection": "close"})
        response = connection.getresponse()
        answered_us = now_us()
        if response.status != http.HTTPStatus.OK:
            return None
        stats = msgspec.json.decode(response.read(MAX_BYTES), type=ServerStats)
        return msgspec.structs.replace(stats, asked_us=asked_us, answered_us=answered_us)
    except (http.client.HTTPException, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    finally:
        connection.close()


def find_server(target: Target) -> tuple[Address, ServerStats | None]:
    """
    Return where the server is that the load is for, and its /stats, None where it has none of ours.

    Raises:
        NoServerError: there is no server.

    """
    address = knock(target)
    try:
        return address, fetch_stats(target, address)
    except OSError as error:
        raise NoServerError(f"{target.authority} does not answer GET /stats: {reason_of(error)}") from error


def figures_between(
    base: ServerStats, before: ServerStats, after: ServerStats, frames_per_second: float
) -> ServerFigures:
    """
    Return the server's figures from ``before`` to ``after``; ``base`` is from before the first connection.

    Raises:
        ValueError: the server was started anew in between.

    """
    elapsed_s = (after.now_us - before.now_us) / 1e6
    cpu_share = (after.process.cpu_s - before.process.cpu_s) / elapsed_s if elapsed_s > 0 else None
    connections = before.connections - base.connections
    rss_growth = before.process.rss_bytes - base.process.rss_bytes
    return ServerFigures(
        cpu_percent=None if cpu_share is None else 100 * cpu_share,
        rss_bytes=after.process.rss_bytes,
        rss_per_connection_bytes=rss_growth / connections if connections > 0 else None,
        cpu_us_per_frame=1e6 * cpu_share / frames_per_second if cpu_share is not None and frames_per_second else None,
        ticks=_ticks_between(before.ticks, after.ticks),
        skipped_ticks=after.ticks.skipped_ticks - before.ticks.skipped_ticks,
        slow_skips=after.slow_skips - before.slow_skips,
        slow_closed=after.slow_closed - before.slow_closed,
    )


def _ticks_between(before: TickStats, after: TickStats) -> ServerTicks:
    def later(old: HistogramSummary, new: HistogramSummary) -> HistogramSummary:
        return Histogram.from_summary(new).since(Histogram.from_summary(old)).summary()

    return ServerTicks(
        count=after.count - before.count,
        skipped_ticks=after.skipped_ticks - before.skipped_ticks,
        overruns=after.overruns - before.overruns,
        start_lateness_ms=later(before.start_lateness_ms, after.start_lateness_ms),
        compute_ms=later(before.compute_ms, after.compute_ms),
        fanout_ms=later(before.fanout_ms, after.fanout_ms),
    )
