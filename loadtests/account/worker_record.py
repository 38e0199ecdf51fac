"""What one worker measured, how it travels to the process that makes the summary, and the sum over all workers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import reduce
from typing import Any, Self

import msgspec

from loadtests.account.counts import MAIN, Accounts, Additive, StageAccounts
from loadtests.account.join_rate import JoinRate
from loadtests.account.settling import RoomDueTimes
from loadtests.surroundings.cores import MachineSample
from shared.measure.histogram import Histogram
from shared.measure.quota import Quota


@dataclass(slots=True)
class Figures(Additive):
    """What is added up over workers, beside the accounts of connections."""

    ping_rtt: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    """How late the hubs were, in microseconds."""
    cpu_s: float = 0.0
    """CPU time of the processes in the window."""


@dataclass(slots=True, kw_only=True)
class WorkerRecord:
    """One worker's share of a run, settled."""

    worker: int
    pid: int
    boot_id: str | None
    same_host: bool
    """Whether the server is on this worker's host, or is taken to be."""
    cpus: list[int]
    duration_s: float
    """Between the two samples of CPU."""
    before: MachineSample | None
    """Taken before the window; ``after`` is taken after it."""
    after: MachineSample | None
    own_cpu_s: float
    """CPU time of this process between the two."""
    throttled: list[Quota]
    """How far CPU quotas held this process back, from the opening of the window until all frames had come."""
    rss_bytes: int
    """Memory of this process when the window opened."""
    clock_step_us: int
    clock_uncertainty_us: int | None
    rooms: list[str]
    """The rooms that its connections were in."""
    unseen: dict[str, int]
    """As :class:`~loadtests.account.recorder.Unseen`; so are the next two."""
    lost: dict[str, int]
    unexplained: dict[str, int]
    due_times: dict[str, RoomDueTimes]
    """Of the main group, by room."""
    period_us: float
    rush: JoinRate
    """Of the main group."""
    steps: dict[int, int]
    """As :attr:`~loadtests.receive.steps.StepLog.digests`, of the worker's first room."""
    conflicting_steps: int
    figures: Figures
    groups: dict[str, Accounts]
    stages: list[StageAccounts]
    stretches: list[Histogram]

    @property
    def main(self) -> Accounts:
        """The accounts of those that neither stall nor leave by plan."""
        return self.groups[MAIN]

    @property
    def received(self) -> int:
        """Frames of all groups."""
        return sum(accounts.received for accounts in self.groups.values())

    def to_wire(self) -> dict[str, Any]:
        """Return it as plain objects."""
        wire = {name: getattr(self, name) for name in _PLAIN}
        return wire | {
            "rush": list(self.rush),
            "due_times": {name: list(of) for name, of in self.due_times.items()},
            "before": None if self.before is None else asdict(self.before),
            "after": None if self.after is None else asdict(self.after),
            "throttled": msgspec.to_builtins(self.throttled),
            "steps": list(self.steps.items()),
            "figures": self.figures.to_wire(),
            "groups": {name: accounts.to_wire() for name, accounts in self.groups.items()},
            "stages": [stage.to_wire() for stage in self.stages],
            "stretches": [_Stretch(histogram).to_wire() for histogram in self.stretches],
        }

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """Return the record that gave ``wire``."""
        return cls(
            **{name: wire[name] for name in _PLAIN},
            before=None if wire["before"] is None else MachineSample.from_wire(wire["before"]),
            after=None if wire["after"] is None else MachineSample.from_wire(wire["after"]),
            throttled=msgspec.convert(wire["throttled"], list[Quota]),
            rush=JoinRate(*wire["rush"]),
            due_times={name: RoomDueTimes(*of) for name, of in wire["due_times"].items()},
            steps=dict(wire["steps"]),
            figures=Figures.from_wire(wire["figures"]),
            groups={name: Accounts.from_wire(accounts) for name, accounts in wire["groups"].items()},
            stages=[StageAccounts.from_wire(stage) for stage in wire["stages"]],
            stretches=[_Stretch.from_wire(stretch).lateness for stretch in wire["stretches"]],
        )


_PLAIN = (
    "worker",
    "pid",
    "boot_id",
    "same_host",
    "cpus",
    "duration_s",
    "own_cpu_s",
    "rss_bytes",
    "clock_step_us",
    "clock_uncertainty_us",
    "rooms",
    "unseen",
    "lost",
    "unexplained",
    "period_us",
    "conflicting_steps",
)


@dataclass(slots=True)
class _Stretch(Additive):
    lateness: Histogram = field(default_factory=Histogram)


def merged(parts: list[WorkerRecord]) -> WorkerRecord:
    """Return the sum of all parts, as if one worker had had all connections; the parts stay as they are."""
    groups: dict[str, Accounts] = {}
    stages = [StageAccounts() for _ in parts[0].stages]
    stretches = [Histogram() for _ in parts[0].stretches]
    figures = Figures()
    for part in parts:
        figures.add(part.figures)
        for name, accounts in part.groups.items():
            groups.setdefault(name, Accounts()).add(accounts)
        for mine, stage in zip(stages, part.stages, strict=True):
            mine.add(stage)
        for mine_too, stretch in zip(stretches, part.stretches, strict=True):
            mine_too.add(stretch)
    uncertainties = [part.clock_uncertainty_us for part in parts]
    return WorkerRecord(
        worker=-1,
        pid=-1,
        boot_id=parts[0].boot_id,
        same_host=all(part.same_host for part in parts),
        cpus=sorted({cpu for part in parts for cpu in part.cpus}),
        duration_s=parts[0].duration_s,
        before=parts[0].before,
        after=parts[0].after,
        own_cpu_s=sum(part.own_cpu_s for part in parts),
        throttled=[quota for part in parts for quota in part.throttled],
        rss_bytes=sum(part.rss_bytes for part in parts),
        clock_step_us=max(part.clock_step_us for part in parts),
        clock_uncertainty_us=None if None in uncertainties else max(u for u in uncertainties if u is not None),
        rooms=sorted({room for part in parts for room in part.rooms}),
        unseen=_greatest([part.unseen for part in parts]),
        lost=_greatest([part.lost for part in parts]),
        unexplained=_greatest([part.unexplained for part in parts]),
        due_times=_all_due_times([part.due_times for part in parts]),
        period_us=max(part.period_us for part in parts),
        rush=reduce(JoinRate.joined, (part.rush for part in parts)),
        steps=parts[0].steps,  # of one room: other workers may be in another
        conflicting_steps=parts[0].conflicting_steps,
        figures=figures,
        groups=groups,
        stages=stages,
        stretches=stretches,
    )


def _greatest(counts: list[dict[str, int]]) -> dict[str, int]:
    """Return the greatest count of each room: workers that share one count the same ticks."""
    rooms = {room for count in counts for room in count}
    return {room: max(count.get(room, 0) for count in counts) for room in sorted(rooms)}


def _all_due_times(of: list[dict[str, RoomDueTimes]]) -> dict[str, RoomDueTimes]:
    """Return the due times of each room: workers that share one know of the same ticks, but others missed them."""
    rooms = {room for due_times in of for room in due_times}
    return {room: RoomDueTimes.union(each[room] for each in of if room in each) for room in sorted(rooms)}
