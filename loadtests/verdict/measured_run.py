"""All that is known of a run that is over, for its summary: its options, the server's /stats, each worker's record."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtests.account.worker_record import WorkerRecord
from loadtests.options import LoadOptions
from loadtests.surroundings.core_lag import CoreGap
from loadtests.surroundings.cores import MachineSample
from loadtests.surroundings.server_stats import ServerStats
from shared.measure.quota import Quota
from shared.measure.summary import SlotFigures

US_A_SECOND = 1e6


@dataclass(frozen=True, slots=True)
class ServerSample:
    """The server's /stats and its host's cores at one end of the window, or shortly before or after it."""

    stats: ServerStats | None
    machine: MachineSample | None
    open: int = 0
    """Our connections that were open, or may have been for the server."""
    doubt: str = ""
    """Why the server's answer is no /stats of ours, where it did answer."""
    why_none: str = ""
    """Why the server did not answer, if it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    """A run that is over, settled by all of its workers."""

    options: LoadOptions
    window: range
    """Microseconds of the server's clock."""
    base: ServerStats | None
    """The server's /stats before the first connection; None if it has none of ours."""
    opened: ServerSample
    """Shortly before the window opened."""
    closed: ServerSample
    """When nothing was expected any more."""
    why_unknown: str = ""
    """Why there is no ``base``, in a few words."""
    server_is_here: bool
    """Whether it is on the conductor's host, whose cores can be seen."""
    server_pids: set[int] | None
    """The pids, as seen from here, of the server and its descendants; None where it is not known which they are."""
    own_pids: set[int]
    """The pids of the conductor and its descendants: workers and drift probes."""
    server_throttled: list[Quota]
    """How far CPU quotas held the server's process back in the window, as far as can be seen from here."""
    server_checks: int
    """Connections of ours after ``base`` that were no user's."""
    gaps: list[CoreGap]
    records: list[WorkerRecord]
    users: int
    """Users that were started."""
    lost_workers: list[str]
    slots: SlotFigures | None = None
    """How the window was cut; None where it was not."""
    beside: Mapping[int, set[int]] = field(default_factory=dict)
    """The processes that ran at the same time on purpose, by pid as seen from here, and where each may run."""

    @property
    def doubts(self) -> list[str]:
        """What the server answered that is no /stats of ours."""
        return [sample.doubt for sample in (self.opened, self.closed) if sample.doubt]

    @property
    def duration_s(self) -> float:
        """The length of the window."""
        return len(self.window) / US_A_SECOND

    @property
    def server_cpus(self) -> list[int] | None:
        """The cores that the server may run on, where they are ours to look at."""
        return self.base.process.cpus if self.base is not None and self.server_is_here else None
