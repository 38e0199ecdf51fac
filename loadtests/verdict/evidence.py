"""Gathers what the verdict on a run rests on, from the records of its workers and what the server says of itself."""

import math
from typing import Literal, NamedTuple

from msgspec.structs import replace

from loadtests.account.counts import STALLED, Accounts, most_of, total
from loadtests.account.returns import Returns
from loadtests.account.room_ticks import is_another_rate
from loadtests.account.server_figures import Frames, figures_between
from loadtests.account.worker_record import WorkerRecord, merged
from loadtests.receive.endings import Fate
from loadtests.verdict.core_use import CoreUses, core_uses, foreign_percent, is_open, throttled
from loadtests.verdict.findings import LIMITS, Findings
from loadtests.verdict.measured_run import US_A_SECOND, MeasuredRun
from loadtests.verdict.other_clients import others_in_words, others_of
from shared.measure.histogram import Histogram
from shared.measure.quota import in_words
from shared.measure.summary import ServerFigures


class Evidence(NamedTuple):
    """What a run comes to."""

    whole: WorkerRecord
    """The sum over its workers."""
    server: ServerFigures
    uses: CoreUses
    findings: Findings


def evidence_of(run: MeasuredRun) -> Evidence:
    """Return what a run comes to."""
    whole = merged(run.records)
    server, doubts = _server(run, whole)
    uses = core_uses(run, server)
    found = _findings(run, whole, server, uses, [*run.doubts, *doubts, *_rate_doubts(run, whole)])
    return Evidence(whole, server, uses, found)


def tick_rate_hz(run: MeasuredRun, whole: WorkerRecord) -> float | None:
    """Return the rate that the server states; if it states none, or a wrong one, that of its due times."""
    if run.base is not None and run.options.scenario.path is None and not _rate_doubts(run, whole):
        return run.base.tick_rate_hz
    return round(US_A_SECOND / whole.period_us, 3) if whole.period_us else None


def cpu_percent(record: WorkerRecord) -> float:
    """Return the CPU of a worker in the window, of one core."""
    return 100 * record.figures.cpu_s / record.duration_s


def _rate_doubts(run: MeasuredRun, whole: WorkerRecord) -> list[str]:
    """Return why the rate that the server states is not believed, empty if it is."""
    if run.base is None or run.options.scenario.path is not None or not whole.period_us:
        return []
    stated_hz, seen_hz = run.base.tick_rate_hz, US_A_SECOND / whole.period_us
    if not is_another_rate(stated_hz, seen_hz):
        return []
    return [f"tick_rate_hz is {stated_hz:g}, and the due times of its ticks have {seen_hz:.4g}"]


def _server(run: MeasuredRun, whole: WorkerRecord) -> tuple[ServerFigures, list[str]]:
    """Return what the server says of itself, and what of it is not believed."""
    before, after = run.opened.stats, run.closed.stats
    if run.base is None or before is None or after is None:
        return ServerFigures(skipped_ticks=sum(whole.unseen.all.values())), []  # as far as can be seen
    others = others_of(run, whole)
    alone = others is None or not (others.before or others.after or others.came)
    is_echo = run.options.scenario.path is not None  # whose messages are no ticks
    embraced = before.now_us <= run.window.start and not is_echo
    at_least = whole.received if embraced else 0
    frames = Frames(whole.received / run.duration_s, are_all=alone, are_ticks=not is_echo, at_least=at_least)
    rooms = None if is_echo else whole.rooms
    figures, doubts = figures_between(before, after, frames, rooms)
    return replace(figures, others=others), doubts


def _findings(
    run: MeasuredRun, whole: WorkerRecord, server: ServerFigures, uses: CoreUses, doubts: list[str]
) -> Findings:
    main, everybody = whole.main, total(whole.groups.values())
    others = [accounts for name, accounts in whole.groups.items() if name != STALLED]
    lags = [record.figures.lag.percentile_us(99) / 1000 for record in run.records if record.figures.lag.count]
    rate_hz = tick_rate_hz(run, whole)
    before = run.opened.stats
    return Findings(
        timestamps=_timestamps(everybody),
        period_ms=1000 / rate_hz if rate_hz else None,
        received=main.received,
        missing=main.missing,
        expected=everybody.expected,
        coalesced=main.coalesced,
        generator_cpu_percent=max(cpu_percent(record) for record in run.records),
        lag_p99_ms=max(lags, default=None),
        steal_percent=uses.steal_percent,
        core_gap_ms=max((gap.max_gap_us / 1000 for gap in run.gaps), default=None),
        gapped_percent=_gapped_percent(run, rate_hz),
        core_gap_outranks=all(gap.scheduling != "normal" for gap in run.gaps),
        unwatched_cpus=sorted(set(run.server_cpus or ()) - {gap.cpu for gap in run.gaps}),
        foreign_server_percent=foreign_percent(uses.server),
        foreign_generator_percent=foreign_percent(uses.generator),
        unassigned_percent=uses.server.foreign_percent if uses.server is not None and is_open(uses.server) else None,
        others_untold=uses.server is not None and uses.server.is_bound and uses.server.foreign_percent is None,
        others=others_in_words(server.others, server),
        throttled="; ".join(f"the {who} {in_words(of)}" for who, of in throttled(run, whole).items() if of),
        shared_cpus=_shared_cpus(run),
        clock_step_us=whole.clock_step_us,
        slow_skips=_slow_skips(server, whole, others),
        own_limits=everybody.in_words(Fate.OWN_LIMIT),
        timed_out=everybody.fates[Fate.TIMED_OUT.value],
        not_started=max(0, run.options.users - run.users) if not run.lost_workers else 0,
        left_early=main.fates[Fate.LEFT.value],
        lost_workers=run.lost_workers,
        stretch_p50_us=_stretch_p50_us(whole.stretches) if run.options.scenario.settled else [],
        server_unknown=run.base is None,
        why_unknown=run.why_unknown,
        doubts="; ".join(dict.fromkeys(doubts)),
        stats_lost=run.base is not None and not run.doubts and (before is None or run.closed.stats is None),
        stats_late_ms=max(0.0, (before.now_us - run.window.start) / 1000) if before is not None else 0.0,
        same_host=whole.same_host,
        same_boot=run.base is not None and all(record.boot_id == run.base.boot_id for record in run.records),
        clock_uncertainty_us=whole.clock_uncertainty_us,
        negative_deliveries=everybody.negative_deliveries,
        concurrency=_concurrency(run, main),
        unexplained_ticks=sum(whole.unseen.unexplained.values()),
        lost_ticks=", ".join(f"{count} in room {room}" for room, count in list(whole.unseen.lost.items())[:5]),
        due=main.due,
        not_come=_not_come(main),
        not_come_percent=0.0 if main.ticks_came is None else 100 * (1 - main.ticks_came),
        longest_silence_ms=main.longest_silence_us / 1000,
        taken_percent=_taken_percent(run, uses),
        in_slots=run.slots is not None,
        slots_spoiled=run.slots.made if run.slots is not None and not run.slots.kept else 0,
        stats_lost_why=run.opened.why_none or run.closed.why_none,
        refused=everybody.in_words(Fate.REFUSED),
        closed_early=everybody.in_words(Fate.CLOSED_EARLY),
        broken=most_of(everybody.errors),
        told=most_of(everybody.told),
        bots=0 if run.base is None else run.base.settings.bots,
        cut="" if whole.returns is None else _cut(whole.returns),
    )


def _shared_cpus(run: MeasuredRun) -> list[int]:
    """Return the cores that both the server and a worker may run on: another host's have the same numbers."""
    there = [record for record in run.records if run.base is not None and record.boot_id == run.base.boot_id]
    return sorted(set(run.server_cpus or ()) & {cpu for record in there for cpu in record.cpus})


def _gapped_percent(run: MeasuredRun, rate_hz: float | None) -> float:
    """Return the percentage of due times that gaps of over half a period on the server's cores can have touched."""
    if not rate_hz:
        return 100.0
    period_us = US_A_SECOND / rate_hz
    touched = 0
    for gap in run.gaps:
        lateness = Histogram.from_summary(gap.lateness_ms)
        (short,) = lateness.counts_up_to([int(LIMITS.core_gap_periods * period_us)])
        # Each was at most as long as the longest, and also touched a tick that was due shortly before it.
        touched += (lateness.count - short) * (math.ceil(gap.max_gap_us / period_us) + 1)
    return min(100.0, 100 * touched / (len(run.window) / period_us))


def _taken_percent(run: MeasuredRun, uses: CoreUses) -> float | None:
    """Return the percentage of the server's core that others had, by the system or by its probe: the larger one."""
    probes = [100 * Histogram.from_summary(gap.lateness_ms).total_us / len(run.window) for gap in run.gaps]
    if uses.server is not None:
        probes.append(uses.server.steal_percent + (uses.server.foreign_percent or 0))
    return max(probes, default=None)


def _not_come(main: Accounts) -> str:
    """Say in words why ticks that were due did not come; empty where all came."""
    parts = (
        (main.skipped, "at due times that the server skipped"),
        (main.missing, "sent, as far as is known, and missing"),
        (main.absent, "due to connections that were refused or had ended"),
    )
    return ", ".join(f"{count:,} {words}" for count, words in parts if count)


def _cut(returns: Returns) -> str:
    """Say in words what became of users who lost a connection that they were in; empty without any."""
    if not returns.cut:
        return ""
    parts = ((returns.back, "came back"), (returns.gone, "gone for good"), (returns.away, "still trying at the end"))
    words = ", ".join(f"{count:,} {word}" for count, word in parts if count)
    silence_s = f"; silent for up to {returns.silence.max_us / 1e6:.2f} s" if returns.silence.count else ""
    return f"of {returns.cut:,} users {words}{silence_s}"


def _slow_skips(server: ServerFigures, whole: WorkerRecord, others: list[Accounts]) -> int | None:
    """
    Return how many frames the server skipped for ``others``, the connections that do not stall by plan.

    It does not say for whom; but what it skipped for one of them is missing there, and lost ticks are taken off.

    """
    if server.slow_skips is None or STALLED not in whole.groups or not whole.groups[STALLED].connected:
        return server.slow_skips
    lost = sum(whole.unseen.lost.values()) * sum(accounts.connected for accounts in others)
    return min(server.slow_skips, max(0, sum(accounts.missing for accounts in others) - lost))


def _timestamps(everybody: Accounts) -> Literal["kernel", "read"]:
    return "read" if everybody.unstamped > LIMITS.unstamped_percent / 100 * everybody.received else "kernel"


def _stretch_p50_us(stretches: list[Histogram]) -> list[int]:
    """Return the p50 of each stretch; nothing where the warm-up has none."""
    if not stretches or not stretches[0].count:
        return []
    return [stretch.percentile_us(50) for stretch in stretches if stretch.count]


def _concurrency(run: MeasuredRun, main: Accounts) -> tuple[float, float] | None:
    """Return a closed loop's connections, and throughput times mean answer time (Little, 1961)."""
    if run.options.scenario.path is None or run.options.echo_rate_hz or not main.received:
        return None
    up = main.connected - main.fates[Fate.CLOSED_EARLY.value]
    return float(up), main.received / run.duration_s * main.delivery.mean_us / US_A_SECOND
