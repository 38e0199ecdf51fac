"""Computes what others took of a run's cores, and how far CPU quotas held it back, from samples around its window."""

from dataclasses import dataclass, replace
from typing import Literal

from loadtests.account.server_figures import Between
from loadtests.account.worker_record import WorkerRecord
from loadtests.surroundings.cores import CoreUse, Known, MachineSample, cpu_between, use_between
from loadtests.verdict.findings import LIMITS
from loadtests.verdict.measured_run import MeasuredRun
from shared.measure.quota import Quota
from shared.measure.summary import ServerFigures


@dataclass(frozen=True, slots=True)
class CoreUses:
    """What the server's cores and the generator's did besides their own work; None where that is not known."""

    server: CoreUse | None
    generator: CoreUse | None

    @property
    def steal_percent(self) -> float | None:
        """Of the core that had most of it."""
        return max((use.steal_percent for use in (self.server, self.generator) if use is not None), default=None)


def throttled(run: MeasuredRun, whole: WorkerRecord) -> dict[Literal["server", "generator"], list[Quota]]:
    """Return the quotas that held the server and the generator back; the server's own word where we can't see."""
    server = run.server_throttled
    if not server and run.opened.stats is not None and run.closed.stats is not None:
        server = Between(run.opened.stats, run.closed.stats).throttled()
    # Workers in one group are held back together: take the one that saw most of it.
    generator = {quota.group: quota for quota in sorted(whole.throttled, key=lambda quota: quota.throttled_us)}
    return {"server": server, "generator": list(generator.values())}


def foreign_percent(use: CoreUse | None) -> float | None:
    """Return the percentage of some cores that others took; None where it is not known."""
    return None if use is None or is_open(use) else use.foreign_percent


def is_open(use: CoreUse) -> bool:
    """Return whether unassigned CPU time may be others', or only what no process is charged with."""
    return use.is_bound and LIMITS.foreign_percent < (use.foreign_percent or 0) <= LIMITS.uncharged_percent


def core_uses(run: MeasuredRun, server: ServerFigures) -> CoreUses:
    """Return what the measured cores did besides; all workers of a host count as known on each of its cores."""
    its = set(run.server_cpus or ())
    its_s = None if server.cpu_percent is None else server.cpu_percent / 100
    here = run.base.boot_id if run.base is not None and run.server_is_here else None
    uses: list[CoreUse] = []
    for boot_id in dict.fromkeys(record.boot_id for record in run.records):
        records = [record for record in run.records if record.boot_id == boot_id]
        before, after = records[0].before, records[0].after
        if before is None or after is None:
            continue
        cpus = sorted({cpu for record in records for cpu in record.cpus})
        cpu_s: float | None = sum(record.own_cpu_s for record in records)
        if boot_id == here and its & set(cpus):
            elapsed_s = after.at_s - before.at_s
            cpu_s = None if its_s is None else (cpu_s or 0) + elapsed_s * (its_s + _probes_s(run, set(cpus)))
        known = None if cpu_s is None else _known(run, cpu_s, boot_id, (before, after), set(cpus))
        uses += [use] if (use := use_between(before, after, cpus, known)) is not None else []
    generator = None
    if uses:
        most = max(uses, key=lambda use: use.foreign_percent or 0)
        generator = replace(most, steal_percent=max(use.steal_percent for use in uses))
    opened, closed = run.opened.machine, run.closed.machine
    if opened is None or closed is None or not its:
        return CoreUses(None, generator)
    known = None
    if its_s is not None:
        there = [record for record in run.records if record.boot_id == here and set(record.cpus) & its]
        # Known for the window only, and taken to be at the same rate between the samples around it.
        share = its_s + _probes_s(run, its) + sum(record.figures.cpu_s for record in there) / run.duration_s
        known = _known(run, (closed.at_s - opened.at_s) * share, here, (opened, closed), its)
    return CoreUses(use_between(opened, closed, sorted(its), known), generator)


def _probes_s(run: MeasuredRun, cpus: set[int]) -> float:
    """Return how many CPU seconds per second the drift probes on some cores took."""
    return sum(gap.cpu_s for gap in run.gaps if gap.cpu in cpus) / run.duration_s


def _known(
    run: MeasuredRun, cpu_s: float, boot_id: str | None, between: tuple[MachineSample, MachineSample], cpus: set[int]
) -> Known:
    """Return what belongs on some cores: the run's own, ``cpu_s`` of it, and what ran beside it on purpose."""
    only_here = [pid for pid, its in run.beside.items() if its and its <= cpus]
    return Known(cpu_s + cpu_between(*between, only_here), _pids(run, boot_id), is_all=not run.beside)


def _pids(run: MeasuredRun, boot_id: str | None) -> set[int] | None:
    """
    Return the pids of the run's processes on a host, and of those beside it (where there are any, it has one host).

    The conductor's only where the server is there, too; None where the server is one of them, and not known which.

    """
    pids = {record.pid for record in run.records if record.boot_id == boot_id} | set(run.beside)
    if run.base is None or not run.server_is_here or run.base.boot_id != boot_id:
        return pids
    return None if run.server_pids is None else pids | run.server_pids | run.own_pids
