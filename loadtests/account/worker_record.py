"""What one worker measured, and the sum over all workers."""

from functools import reduce

from msgspec import Struct, field
from msgspec.structs import replace

from loadtests.account.counts import MAIN, Accounts, Additive, StageAccounts, total
from loadtests.account.join_rate import NO_JOINS, JoinRate
from loadtests.account.returns import Returns
from loadtests.account.settling import RoomDueTimes, Unseen
from loadtests.surroundings.cores import MachineSample
from shared.measure.histogram import Histogram
from shared.measure.quota import Quota


class Figures(Additive):
    """What is added up over workers, beside the accounts of connections."""

    ping_rtt: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    """How late the hubs were, in microseconds."""
    cpu_s: float = 0.0
    """CPU time of the processes in the window."""


class WorkerRecord(Struct, kw_only=True):
    """One worker's share of a run, settled."""

    pid: int
    boot_id: str | None
    same_host: bool
    """Whether the server is on this worker's host, or without /stats is taken to be."""
    cpus: list[int]
    host: str = ""
    """The name of this worker's host."""
    worker: int = 0
    duration_s: float = 0.0
    """The length of the window, as it was measured."""
    before: MachineSample | None = None
    """Taken before the window; ``after`` is taken after it."""
    after: MachineSample | None = None
    own_cpu_s: float = 0.0
    """CPU time of this process between the two."""
    throttled: list[Quota] = []
    """How far CPU quotas held this process back, from the opening of the window until all frames had come."""
    rss_bytes: int = 0
    """Memory of this process when the window opened."""
    clock_step_us: int = 0
    clock_uncertainty_us: int | None = None
    rooms: list[str] = []
    """The rooms that its connections were in."""
    unseen: Unseen = field(default_factory=lambda: Unseen({}, {}, {}))
    due_times: dict[str, RoomDueTimes] = {}
    """Of the main group, by room."""
    period_us: float = 0.0
    join_rate: JoinRate = NO_JOINS
    """Of the main group."""
    steps: dict[int, int] = {}
    """As :attr:`~loadtests.receive.steps.StepLog.digests`, of the worker's first room."""
    conflicting_steps: int = 0
    returns: Returns | None = None
    """Of those who come back when they are cut off; None where nobody does."""
    figures: Figures = field(default_factory=Figures)
    groups: dict[str, Accounts] = field(default_factory=lambda: {MAIN: Accounts()})
    stages: list[StageAccounts] = []
    stretches: list[Histogram] = []

    @property
    def main(self) -> Accounts:
        """The accounts of those that neither stall nor leave by plan."""
        return self.groups[MAIN]

    @property
    def received(self) -> int:
        """Frames of all groups."""
        return sum(accounts.received for accounts in self.groups.values())


def merged(records: list[WorkerRecord]) -> WorkerRecord:
    """Return the sum of all records, as if one worker had had all connections; the records stay as they are."""
    first = records[0]
    uncertainties = [record.clock_uncertainty_us for record in records]
    groups = dict.fromkeys(name for record in records for name in record.groups)
    return replace(
        first,  # of its steps, too: they are of one room, and other workers may be in another
        worker=-1,
        pid=-1,
        host="",
        same_host=all(record.same_host for record in records),
        cpus=sorted({cpu for record in records for cpu in record.cpus}),
        own_cpu_s=sum(record.own_cpu_s for record in records),
        throttled=[quota for record in records for quota in record.throttled],
        rss_bytes=sum(record.rss_bytes for record in records),
        clock_step_us=max(record.clock_step_us for record in records),
        clock_uncertainty_us=None if None in uncertainties else max(us for us in uncertainties if us is not None),
        rooms=sorted({room for record in records for room in record.rooms}),
        unseen=Unseen(*map(_greatest, zip(*(record.unseen for record in records), strict=True))),
        # Workers that share a room know of the same ticks, but others missed them.
        due_times={
            room: RoomDueTimes.union(record.due_times[room] for record in records if room in record.due_times)
            for room in sorted({room for record in records for room in record.due_times})
        },
        period_us=max(record.period_us for record in records),
        join_rate=reduce(JoinRate.joined, (record.join_rate for record in records)),
        returns=_total_returns(records),
        figures=total(record.figures for record in records),
        groups={name: total(record.groups[name] for record in records if name in record.groups) for name in groups},
        stages=[total(stages) for stages in zip(*(record.stages for record in records), strict=True)],
        stretches=[total(stretches) for stretches in zip(*(record.stretches for record in records), strict=True)],
    )


def _total_returns(records: list[WorkerRecord]) -> Returns | None:
    of = [record.returns for record in records if record.returns is not None]
    return total(of) if of else None


def _greatest(counts: tuple[dict[str, int], ...]) -> dict[str, int]:
    """Return the greatest count of each room: workers that share one count the same ticks."""
    rooms = {room for count in counts for room in count}
    return {room: max(count.get(room, 0) for count in counts) for room in sorted(rooms)}
