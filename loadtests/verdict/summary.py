"""Makes the summary of a run that is over, with the verdict on it, from the records of its workers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from msgspec.structs import replace

from loadtests.account.counts import MAIN, Accounts
from loadtests.account.lives import room_of
from loadtests.account.returns import Returns
from loadtests.account.settling import RoomDueTimes
from loadtests.account.worker_record import WorkerRecord
from loadtests.receive.endings import Fate
from loadtests.receive.steps import summary_of
from loadtests.verdict.checks import is_saturated
from loadtests.verdict.core_use import CoreUses, foreign_percent, throttled
from loadtests.verdict.evidence import cpu_percent, evidence_of, tick_rate_hz
from loadtests.verdict.findings import LIMITS, Findings
from loadtests.verdict.measured_run import US_A_SECOND, MeasuredRun
from loadtests.verdict.validity import judge
from shared.measure.machine_figures import CoreGapFigures, MachineFigures, ThrottledFigures
from shared.measure.summary import (
    ClockFigures,
    ConnectionCounts,
    FrameCounts,
    GeneratorFigures,
    GroupFigures,
    JitterSummary,
    LoadSummary,
    ReturnFigures,
    StageFigures,
    WorkerFigures,
)


def summarise(run: MeasuredRun) -> LoadSummary:
    """Return the summary: everything that was measured, and whether it is valid."""
    whole, server, uses, findings = evidence_of(run)
    main = whole.main
    return LoadSummary(
        url=run.options.target.url,
        scenario=run.options.scenario_name,
        started_at=_iso(run.window.start),
        duration_s=run.duration_s,
        slots=run.slots,
        tick_rate_hz=tick_rate_hz(run, whole),
        connections=replace(_connections(main), rush_per_second=whole.join_rate.per_second),
        **_same(main, "ticks_came reach tick_lateness_ms delivery_ms interval_error_ms pdv_ms input_ms"),
        frames=_with_due_times(_frames(main, run.duration_s), whole),
        worst_room_in_time=_worst_room_in_time(whole),
        longest_silence_ms=main.longest_silence_us / 1000 if main.due else None,
        jitter_rfc3550_ms=JitterSummary.of(main.jitter),
        ping_rtt_ms=whole.figures.ping_rtt.summary(),
        groups={name: _group(of, run.duration_s) for name, of in whole.groups.items() if name != MAIN},
        stages=_stages(run, whole),
        steps=summary_of(whole.steps, whole.conflicting_steps),
        returns=None if whole.returns is None else _returns(whole.returns, main, whole.due_times),
        generator=_generator(run, whole, findings),
        server=server,
        machine=_machine(run, whole, uses),
        clock=_clock(run, whole),
        evidence=asdict(findings),
        limits=asdict(LIMITS),
        validity=judge(findings),
    )


# The parts of a summary


def _iso(at_us: int) -> str:
    return (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at_us)).isoformat(timespec="microseconds")


def _same(of: object, names: str) -> dict[str, Any]:
    """Return figures that a summary has by the same name; of ``x_ms`` the summary of the histogram ``x``."""
    return {
        name: getattr(of, name.removesuffix("_ms")).summary() if name.endswith("_ms") else getattr(of, name)
        for name in names.split()
    }


def _connections(accounts: Accounts) -> ConnectionCounts:
    fates = accounts.fates
    timed_out = dict(Counter(accounts.reasons(Fate.TIMED_OUT)) + Counter(accounts.reasons(Fate.OWN_LIMIT)))
    reasons = {
        "refused": accounts.reasons(Fate.REFUSED),
        "timed_out": timed_out,
        "closed_early": accounts.reasons(Fate.CLOSED_EARLY),
    }
    return ConnectionCounts(
        **_same(accounts, "requested connected connect_ms"),
        tls_ms=accounts.tls.summary() if accounts.tls.count else None,
        refused=fates[Fate.REFUSED.value],
        timed_out=fates[Fate.TIMED_OUT.value] + fates[Fate.OWN_LIMIT.value],
        connecting=accounts.requested - accounts.settled,
        closed_early=fates[Fate.CLOSED_EARLY.value],
        close_codes={str(code): count for code, count in sorted(accounts.close_codes.items())},
        reasons={kind: counts for kind, counts in reasons.items() if counts},
        errors=dict(accounts.errors.most_common()),
        told=dict(accounts.told.most_common()),
        extensions=dict(accounts.extensions.most_common()),
    )


def _frames(accounts: Accounts, duration_s: float) -> FrameCounts:
    counts = "expected received missing skipped absent due duplicate out_of_order coalesced slow_parse bytes wire_bytes"
    came = accounts.received + accounts.duplicate
    return FrameCounts(
        **_same(accounts, counts),
        per_second=accounts.received / duration_s,
        bytes_a_frame=accounts.wire_bytes / came if came else None,
    )


def _with_due_times(frames: FrameCounts, whole: WorkerRecord) -> FrameCounts:
    rooms = whole.due_times.values()
    return replace(
        frames,
        due_times=sum(room.ticks + len(room.unseen) for room in rooms),
        due_times_missed=sum(len(room.missed) + len(room.unseen) for room in rooms),
    )


def _worst_room_in_time(whole: WorkerRecord) -> float | None:
    """Return the least share of a room's frames that came in time; None where there is no period to be late for."""
    shares = [room.in_time / room.frames for room in whole.due_times.values() if room.frames]
    return min(shares, default=None) if whole.period_us else None


def _returns(returns: Returns, main: Accounts, due_times: Mapping[str, RoomDueTimes]) -> ReturnFigures:
    spared = {life: of for life, of in due_times.items() if room_of(life) not in returns.rooms}
    return ReturnFigures(
        **_same(returns, "cut back gone away silence_ms"),
        most_connects_per_second=returns.most_in_a_second,
        missing=main.missing_cut,
        rooms_spared=len({room_of(life) for life in spared}),
        rooms_spared_missed=len({room_of(life) for life, of in spared.items() if of.missed}),
        rooms_spared_skipped=len({room_of(life) for life, of in spared.items() if of.unseen}),
    )


def _group(accounts: Accounts, duration_s: float) -> GroupFigures:
    return GroupFigures(
        connections=_connections(accounts),
        frames=_frames(accounts, duration_s),
        **_same(accounts, "ticks_came reach tick_lateness_ms delivery_ms interval_error_ms"),
    )


def _stages(run: MeasuredRun, whole: WorkerRecord) -> list[StageFigures]:
    if len(whole.stages) < 2:
        return []
    starts_us = [*run.options.scenario.stage_starts_us(len(run.window)), len(run.window)]
    return [
        StageFigures(
            start_s=starts_us[i] / US_A_SECOND,
            duration_s=(starts_us[i + 1] - starts_us[i]) / US_A_SECOND,
            **_same(stage, "connections received missing ticks_came reach tick_lateness_ms interval_error_ms"),
        )
        for i, stage in enumerate(whole.stages)
    ]


def _generator(run: MeasuredRun, whole: WorkerRecord, findings: Findings) -> GeneratorFigures:
    are_apart = len({record.host for record in run.records}) > 1
    return GeneratorFigures(
        timestamps=findings.timestamps,
        workers=len(run.records),
        cpu_percent=findings.generator_cpu_percent,
        us_per_frame=US_A_SECOND * whole.figures.cpu_s / whole.received if whole.received else None,
        loop_lag_ms=whole.figures.lag.summary(),
        saturated=is_saturated(findings, LIMITS),
        rss_bytes=whole.rss_bytes,
        parts=[
            WorkerFigures(
                **_same(record, "worker received cpus"),
                connected=sum(accounts.connected for accounts in record.groups.values()),
                cpu_percent=cpu_percent(record),
                loop_lag_ms=record.figures.lag.summary(),
                tick_lateness_ms=record.main.tick_lateness.summary(),
                host=record.host if are_apart else "",
                clock=_clock(run, record),
            )
            for record in run.records
        ],
    )


def _machine(run: MeasuredRun, whole: WorkerRecord, uses: CoreUses) -> MachineFigures:
    return MachineFigures(
        steal_percent=uses.steal_percent,
        foreign_cpu_percent=foreign_percent(uses.server),
        foreign_cpu_generator_percent=foreign_percent(uses.generator),
        cpus_server=run.server_cpus,
        cpus_generator=whole.cpus,
        core_gaps=[
            CoreGapFigures(
                cpu=gap.cpu,
                scheduling=gap.scheduling,
                max_gap_ms=gap.max_gap_us / 1000,
                lateness_ms=gap.lateness_ms,
            )
            for gap in run.gaps
        ],
        throttled=[
            ThrottledFigures(
                who=who,
                group=quota.group,
                cores=quota.cores,
                periods=quota.throttled_periods,
                ms=quota.throttled_us / 1000,
            )
            for who, quotas in throttled(run, whole).items()
            for quota in quotas
        ],
    )


def _clock(run: MeasuredRun, record: WorkerRecord) -> ClockFigures:
    """Return how one worker, or all together, knew the server's clock."""
    source: Literal["same host", "pings", "assumed"] = "same host" if record.same_host else "pings"
    if run.base is None:
        source = "assumed"
    uncertain_us = None if run.base is None else record.clock_uncertainty_us
    return ClockFigures(
        source=source,
        uncertainty_ms=None if uncertain_us is None else uncertain_us / 1000,
        step_ms=record.clock_step_us / 1000,
    )
