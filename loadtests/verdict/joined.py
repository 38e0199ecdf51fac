"""
Joins slots to one run as if they had been adjacent: what happened between them is in no figure.

A pure function. Lengths, counts, histograms and everything that only grows add up; what is one value a connection at
its end (jitter), and what became of the connections, is the last slot's.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from msgspec import structs

from loadtests.account.counts import Accounts, total
from loadtests.account.recorder import MAX_STRETCHES, STRETCH_US
from loadtests.account.settling import RoomDueTimes, Unseen
from loadtests.account.worker_record import WorkerRecord
from loadtests.surroundings.core_lag import CoreGap
from loadtests.surroundings.cores import CoreTimes, MachineSample
from loadtests.surroundings.server_stats import RoomStats, ServerStats
from loadtests.verdict.measured_run import MeasuredRun, ServerSample
from shared.measure.histogram import Histogram
from shared.measure.quota import Quota, throttled_between
from shared.measure.summary import ServerTicks


class Pair(NamedTuple):
    """What the server said at both ends of a slot."""

    before: ServerStats
    after: ServerStats


def joined(kept: Sequence[MeasuredRun], last: MeasuredRun, warm: Histogram | None = None) -> MeasuredRun:
    """
    Return the run that the ``kept`` slots (one at least, in order) make together.

    ``last`` is the slot that was made last, kept or not: what became of the connections is known up to there.
    ``warm`` is the lateness at the end of the warm-up, which the first slots are compared with; None: they are not.

    """
    first = kept[0]
    window = range(first.window.start, first.window.start + sum(len(run.window) for run in kept))
    opened, closed = _edges(kept, window.start)
    pids = [run.server_pids for run in kept if run.server_pids is not None]
    records = [
        _record([record for run in kept for record in run.records if record.worker == newest.worker], newest)
        for newest in last.records
    ]
    stretches = _stretches(kept, warm)
    return replace(
        last,
        window=window,
        opened=opened,
        closed=closed,
        server_pids=set().union(*pids) if len(pids) == len(kept) else None,
        own_pids=set().union(*(run.own_pids for run in kept)),
        beside={pid: cpus for run in kept for pid, cpus in run.beside.items()},
        server_throttled=_added_quotas(quota for run in kept for quota in run.server_throttled),
        gaps=_gaps(kept),
        records=[structs.replace(record, stretches=stretches) for record in records],
    )


# What workers measured


def _record(kept: Sequence[WorkerRecord], last: WorkerRecord) -> WorkerRecord:
    before, after = _machine([(record.before, record.after) for record in kept])
    uncertainties = [record.clock_uncertainty_us for record in kept]
    return structs.replace(
        last,
        duration_s=sum(record.duration_s for record in kept),
        before=before,
        after=after,
        own_cpu_s=sum(record.own_cpu_s for record in kept),
        throttled=_added_quotas(quota for record in kept for quota in record.throttled),
        rss_bytes=kept[0].rss_bytes,
        clock_step_us=sum(record.clock_step_us for record in kept),
        clock_uncertainty_us=None if None in uncertainties else max(us for us in uncertainties if us is not None),
        unseen=Unseen(*(_added_counts(counts) for counts in zip(*(record.unseen for record in kept), strict=True))),
        due_times=_due_times(kept),
        period_us=kept[-1].period_us,
        figures=total(record.figures for record in kept),
        groups={name: _accounts(name, kept, of) for name, of in last.groups.items()},
        stages=[total(stages) for stages in zip(*(record.stages for record in kept), strict=True)],
    )


def _accounts(name: str, kept: Sequence[WorkerRecord], last: Accounts) -> Accounts:
    of = [record.groups[name] for record in kept if name in record.groups]
    whole = total(of) if of else Accounts()
    jitter = of[-1].jitter if of else Histogram()
    return structs.replace(whole, jitter=jitter, **last.of_connections())


def _due_times(kept: Sequence[WorkerRecord]) -> dict[str, RoomDueTimes]:
    rooms = dict.fromkeys(room for record in kept for room in record.due_times)
    return {
        room: RoomDueTimes(
            sum(of.ticks for of in each),
            [n for of in each for n in of.missed],
            [n for of in each for n in of.unseen],
            sum(of.frames for of in each),
            sum(of.in_time for of in each),
        )
        for room in rooms
        for each in [[record.due_times[room] for record in kept if room in record.due_times]]
    }


def _added_counts(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    return dict(sum((Counter(of) for of in counts), Counter[str]()))


def _stretches(kept: Sequence[MeasuredRun], warm: Histogram | None) -> list[Histogram]:
    """Return the lateness at the end of the warm-up, then that of slots that make two seconds or more together."""
    stretches, length_us = [warm or Histogram()], STRETCH_US
    for run in kept:
        if length_us >= STRETCH_US:
            stretches.append(Histogram())
            length_us = 0
        for record in run.records:
            stretches[-1].add(record.main.tick_lateness)
        length_us += len(run.window)
    return stretches[: 1 + MAX_STRETCHES]


# What the machine did


def _machine(
    pairs: Sequence[tuple[MachineSample | None, MachineSample | None]],
) -> tuple[MachineSample | None, MachineSample | None]:
    """Return samples that differ by what all pairs differ by; None where one is missing."""
    known = [(before, after) for before, after in pairs if before is not None and after is not None]
    if len(known) < len(pairs):
        return None, None
    cores = set.intersection(*(set(sample.cores) for pair in known for sample in pair))
    grown = {
        core: CoreTimes(
            sum(after.cores[core].idle_s - before.cores[core].idle_s for before, after in known),
            sum(after.cores[core].steal_s - before.cores[core].steal_s for before, after in known),
        )
        for core in cores
    }
    elapsed_s = sum(after.at_s - before.at_s for before, after in known)
    used_s: dict[int, float] | None = {}
    for before, after in known:
        if before.process_cpu_s is None or after.process_cpu_s is None or used_s is None:
            used_s = None
            continue
        for pid, cpu_s in after.process_cpu_s.items():
            used_s[pid] = used_s.get(pid, 0.0) + max(0.0, cpu_s - before.process_cpu_s.get(pid, 0.0))
    nothing = MachineSample(0.0, dict.fromkeys(cores, CoreTimes(0.0, 0.0)), None if used_s is None else {})
    return nothing, MachineSample(elapsed_s, grown, used_s)


def _added_quotas(quotas: Iterable[Quota]) -> list[Quota]:
    """Return what each group's quota did in all."""
    groups: dict[str, Quota] = {}
    for quota in quotas:
        before = groups.get(quota.group, Quota(quota.group, None))
        groups[quota.group] = Quota(
            quota.group,
            quota.cores,
            before.throttled_periods + quota.throttled_periods,
            before.throttled_us + quota.throttled_us,
        )
    return list(groups.values())


def _gaps(kept: Sequence[MeasuredRun]) -> list[CoreGap]:
    """Return what each core's probe saw in all; a core that was not watched in one slot is left out."""
    of_slots = [{gap.cpu: gap for gap in run.gaps} for run in kept]
    watched = [cpu for cpu in of_slots[0] if all(cpu in gaps for gaps in of_slots)]
    return [
        structs.replace(
            of_slots[0][cpu],
            max_gap_us=max(gaps[cpu].max_gap_us for gaps in of_slots),
            lateness_ms=total(Histogram.from_summary(gaps[cpu].lateness_ms) for gaps in of_slots).summary(),
            cpu_s=sum(gaps[cpu].cpu_s for gaps in of_slots),
        )
        for cpu in watched
    ]


# What the server said


def _edges(kept: Sequence[MeasuredRun], start_us: int) -> tuple[ServerSample, ServerSample]:
    """Return what was asked at both ends, for a window that begins at ``start_us``."""
    before, after = _machine([(run.opened.machine, run.closed.machine) for run in kept])
    opened, closed = (
        replace(
            edge[end],
            doubt=next((sample.doubt for sample in edge if sample.doubt), ""),
            why_none=next((sample.why_none for sample in edge if sample.why_none), ""),
        )
        for edge, end in (([run.opened for run in kept], 0), ([run.closed for run in kept], -1))
    )
    pairs = [
        Pair(run.opened.stats, run.closed.stats)
        for run in kept
        if run.opened.stats is not None and run.closed.stats is not None
    ]
    if len(pairs) < len(kept):
        # Told of some slots only, which would be taken for all.
        at_first = None if any(run.opened.stats is None for run in kept) else opened.stats
        at_last = None if any(run.closed.stats is None for run in kept) else closed.stats
        return replace(opened, stats=at_first, machine=before), replace(closed, stats=at_last, machine=after)
    late_us = max(pair.before.now_us - run.window.start for pair, run in zip(pairs, kept, strict=True))
    stats = _stats(pairs, start_us + late_us)
    return replace(opened, stats=stats.before, machine=before), replace(closed, stats=stats.after, machine=after)


def _stats(pairs: Sequence[Pair], asked_us: int) -> Pair:
    """Return two answers, the first given at ``asked_us``, between which happened what happened between all pairs."""
    befores, afters = zip(*pairs, strict=True)
    old, new = _grown(befores, afters, "slow_skips", "slow_closed")
    if all(stats.frames_sent is not None for pair in pairs for stats in pair):
        old_sent, new_sent = _grown(befores, afters, "frames_sent")
    else:
        old_sent = new_sent = {"frames_sent": None}
    old_process, new_process = _grown([of.process for of in befores], [of.process for of in afters], "cpu_s")
    first, last = befores[0].process, afters[-1].process
    pid = next((stats.process.pid for pair in pairs for stats in pair if stats.process.pid != first.pid), first.pid)
    quotas = _added_quotas(
        quota for pair in pairs for quota in throttled_between(pair.before.process.quotas, pair.after.process.quotas)
    )
    rooms, ticks = _rooms(pairs), _ticks([of.ticks for of in befores], [of.ticks for of in afters])
    before = structs.replace(
        befores[0],
        now_us=asked_us,
        asked_s=0.0,
        answered_s=0.0,
        ticks=ticks[0],
        process=structs.replace(first, quotas=[], **old_process),
        rooms=[room for room, _ in rooms],
        **old,
        **old_sent,
    )
    after = structs.replace(
        afters[-1],
        now_us=asked_us + sum(pair.after.now_us - pair.before.now_us for pair in pairs),
        # So that the time between the two is at least, and at most, what all the times between are together.
        asked_s=sum(pair.after.asked_s - pair.before.answered_s for pair in pairs),
        answered_s=sum(pair.after.answered_s - pair.before.asked_s for pair in pairs),
        ticks=ticks[1],
        process=structs.replace(last, pid=pid, quotas=quotas, **new_process),
        rooms=[room for _, room in rooms],
        **new,
        **new_sent,
    )
    return Pair(before, after)


def _rooms(pairs: Sequence[Pair]) -> list[tuple[RoomStats, RoomStats]]:
    """Return both ends of each room that was there all the time."""
    ends = [{room.name: room for room in stats.rooms} for pair in pairs for stats in pair]
    there = [name for name in ends[0] if all(name in rooms for rooms in ends)]
    return [
        (structs.replace(ends[0][name], **old), structs.replace(ends[-1][name], **new))
        for name in there
        for old, new in [_grown([of[name] for of in ends[::2]], [of[name] for of in ends[1::2]], "n", "skipped_ticks")]
    ]


def _ticks(befores: Sequence[ServerTicks], afters: Sequence[ServerTicks]) -> tuple[ServerTicks, ServerTicks]:
    old, new = _grown(befores, afters, "count", "skipped_ticks", "overruns")
    for name in ("start_lateness_ms", "compute_ms", "fanout_ms"):
        old[name], new[name] = Histogram().summary(), Histogram().summary()
        grown = []
        for before, after in zip(befores, afters, strict=True):
            was, now = getattr(before, name), getattr(after, name)
            try:
                grown.append(Histogram.from_summary(now).since(Histogram.from_summary(was)))
            except ValueError:  # said of these two where figures are made of them
                old[name], new[name] = was, now
                break
        else:
            new[name] = total(grown).summary()
    return structs.replace(befores[0], **old), structs.replace(afters[-1], **new)


def _grown(befores: Sequence[Any], afters: Sequence[Any], *names: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    Return the values of counts at first, and with all that they grew by between each two of ``befores`` and ``afters``.

    Of a count that went back, these are the two between which it did, so that it is not believed.

    """
    old, new = {}, {}
    for name in names:
        ends = [(getattr(a, name), getattr(b, name)) for a, b in zip(befores, afters, strict=True)]
        went_back = [(was, now) for was, now in ends if now < was]
        whole = ends[0][0], ends[0][0] + sum(now - was for was, now in ends)
        old[name], new[name] = went_back[0] if went_back else whole
    return old, new
