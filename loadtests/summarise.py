"""From a measurement that is over to its summary and the verdict on it. Reads no clock, waits for nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from loadtests.machine import CoreUse, own_cpus, use_between
from loadtests.stats import figures_between
from loadtests.validity import LIMITS, Findings, is_saturated, judge
from loadtests.witness import Fate
from shared.measure.histogram import Histogram
from shared.measure.summary import (
    ConnectionCounts,
    FrameCounts,
    GeneratorFigures,
    JitterSummary,
    LoadSummary,
    MachineFigures,
    ServerFigures,
)

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.ledger import Ledger
    from loadtests.measurement import Measurement
    from loadtests.recorder import Recorder


@dataclass(frozen=True, slots=True)
class About:
    """What a run is called in its summary."""

    url: str
    scenario: str
    requested: int


@dataclass(frozen=True, slots=True)
class CoreUses:
    """What the server's cores and ours did besides their own work; None where that is not known."""

    server: CoreUse | None
    generator: CoreUse | None

    @property
    def steal_percent(self) -> float | None:
        """Of the core that had most of it."""
        return max((use.steal_percent for use in (self.server, self.generator) if use is not None), default=None)


def summarise(measured: Measurement, about: About) -> LoadSummary:
    """
    Return everything that was measured. Call it once: it settles the accounts.

    Raises:
        ValueError: the server was started anew during the run.

    """
    recorder = measured.recorder
    lost = recorder.lost_ticks(_skipped_by_server(measured))
    recorder.settle(measured.server_now_us())
    server = _server(measured)
    uses = _core_uses(measured, server)
    findings = _findings(measured, server, uses, lost)
    return LoadSummary(
        url=about.url,
        scenario=about.scenario,
        started_at=_iso(measured.opened.at_us),
        duration_s=measured.duration_s,
        tick_rate_hz=None if measured.base is None else measured.base.tick_rate_hz,
        connections=_connections(measured.ledger, about.requested),
        frames=_frames(recorder, _per_second(measured)),
        reach=recorder.received / recorder.expected if recorder.expected else None,
        tick_lateness_ms=recorder.tick_lateness.summary(),
        delivery_ms=recorder.delivery.summary(),
        interval_error_ms=recorder.interval_error.summary(),
        pdv_ms=recorder.pdv.summary(),
        jitter_rfc3550_ms=JitterSummary.of(recorder.jitter),
        ping_rtt_ms=measured.ledger.ping_rtt.summary(),
        generator=_generator(measured, findings),
        server=server,
        machine=_machine(measured, uses),
        validity=judge(findings),
    )


def write_whole(path: Path, data: bytes) -> None:
    """
    Write a file that is either there with all of ``data`` or not there at all.

    Raises:
        OSError: it can't be written.

    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


# The parts of a summary


def _iso(at_us: int) -> str:
    return (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at_us)).isoformat(timespec="microseconds")


def _per_second(measured: Measurement) -> float:
    return measured.recorder.received / measured.duration_s


def _connections(ledger: Ledger, requested: int) -> ConnectionCounts:
    return ConnectionCounts(
        requested=requested,
        connected=ledger.connections,
        refused=ledger.fates[Fate.REFUSED],
        timed_out=ledger.fates[Fate.TIMED_OUT],
        closed_early=ledger.fates[Fate.CLOSED_EARLY],
        connect_ms=ledger.connect.summary(),
    )


def _frames(recorder: Recorder, per_second: float) -> FrameCounts:
    return FrameCounts(
        expected=recorder.expected,
        received=recorder.received,
        missing=recorder.missing,
        duplicate=recorder.duplicate,
        out_of_order=recorder.out_of_order,
        coalesced=recorder.coalesced,
        slow_parse=recorder.slow_parse,
        per_second=per_second,
        bytes=recorder.bytes,
    )


def _generator(measured: Measurement, findings: Findings) -> GeneratorFigures:
    received = measured.recorder.received
    return GeneratorFigures(
        timestamps=findings.timestamps,
        workers=1,
        cpu_percent=findings.generator_cpu_percent,
        us_per_frame=1e6 * measured.cpu_s / received if received else None,
        loop_lag_ms=measured.drift.lag.summary(),
        saturated=is_saturated(findings),
    )


def _server(measured: Measurement) -> ServerFigures:
    if measured.base is None or measured.before is None or measured.after is None:
        return ServerFigures(skipped_ticks=measured.recorder.skipped_ticks)
    return figures_between(measured.base, measured.before, measured.after, _per_second(measured))


def _machine(measured: Measurement, uses: CoreUses) -> MachineFigures:
    return MachineFigures(
        steal_percent=uses.steal_percent,
        foreign_cpu_percent=None if uses.server is None else uses.server.foreign_percent,
        cpus_server=_server_cpus(measured),
        cpus_generator=own_cpus(),
    )


# What the verdict rests on


def _skipped_by_server(measured: Measurement) -> dict[str, int]:
    """Return by room how many due times the server says it skipped; what we saw skipped where it does not say."""
    seen = {name: room.skipped() for name, room in measured.recorder.rooms.items()}
    if measured.base is None or measured.after is None:
        return seen
    earlier = {room.name: room.skipped_ticks for room in measured.base.rooms}
    return seen | {room.name: room.skipped_ticks - earlier.get(room.name, 0) for room in measured.after.rooms}


def _server_cpus(measured: Measurement) -> list[int] | None:
    return measured.base.process.cpus if measured.base is not None and measured.same_host else None


def _core_uses(measured: Measurement, server: ServerFigures) -> CoreUses:
    before, after = measured.opened.machine, measured.closed.machine
    if before is None or after is None:
        return CoreUses(None, None)
    server_s = measured.duration_s * (server.cpu_percent or 0) / 100
    own, its = set(own_cpus()), set(_server_cpus(measured) or ())
    return CoreUses(
        server=use_between(before, after, sorted(its), server_s + (measured.cpu_s if own & its else 0)),
        generator=use_between(before, after, sorted(own), measured.cpu_s + (server_s if own & its else 0)),
    )


def _findings(measured: Measurement, server: ServerFigures, uses: CoreUses, lost: dict[str, int]) -> Findings:
    recorder, ledger = measured.recorder, measured.ledger
    return Findings(
        timestamps=_timestamps(recorder),
        period_ms=None if measured.base is None else 1000 / measured.base.tick_rate_hz,
        received=recorder.received,
        coalesced=recorder.coalesced,
        generator_cpu_percent=100 * measured.cpu_s / measured.duration_s,
        lag_p99_ms=measured.drift.lag.percentile_us(99) / 1000 if measured.drift.lag.count else None,
        steal_percent=uses.steal_percent,
        foreign_server_percent=None if uses.server is None else uses.server.foreign_percent,
        foreign_generator_percent=None if uses.generator is None else uses.generator.foreign_percent,
        clock_step_us=measured.offsets.step_us,
        slow_skips=server.slow_skips,
        own_limits=ledger.in_words(Fate.OWN_LIMIT),
        timed_out=ledger.fates[Fate.TIMED_OUT],
        warm_up_p50_us=_p50_us(*recorder.warm_up_lateness),
        first_p50_us=_p50_us(recorder.first_lateness),
        server_unknown=measured.base is None,
        same_host=measured.same_host,
        negative_deliveries=recorder.negative_deliveries,
        lost_ticks=", ".join(f"{count} in room {room}" for room, count in sorted(lost.items())[:5]),
        refused=ledger.in_words(Fate.REFUSED),
        closed_early=ledger.in_words(Fate.CLOSED_EARLY),
        errors=", ".join(f"{count} x {why}" for why, count in ledger.errors.most_common(5)),
    )


def _timestamps(recorder: Recorder) -> Literal["kernel", "read"]:
    return "read" if recorder.unstamped > LIMITS.unstamped_percent / 100 * recorder.received else "kernel"


def _p50_us(*histograms: Histogram) -> int | None:
    both = Histogram()
    for histogram in histograms:
        both.add(histogram)
    return both.percentile_us(50) if both.count else None
