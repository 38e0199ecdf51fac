"""All that is known of a run that is over, for its summary: its options, the server's /stats, each worker's record."""

from dataclasses import dataclass, field

from loadtests.account.worker_record import WorkerRecord
from loadtests.options import LoadOptions
from loadtests.surroundings.core_lags import CoreGap
from loadtests.surroundings.cores import MachineSample
from loadtests.surroundings.server_stats import ServerStats
from shared.measure.quota import Quota

US_A_SECOND = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    """A run that is over, settled by all of its workers."""

    options: LoadOptions
    window: range
    """Microseconds of the server's clock."""
    base: ServerStats | None
    """The server's /stats before the first connection; None if it has none of ours."""
    before: ServerStats | None
    """The same shortly before the window opened."""
    after: ServerStats | None
    """The same when nothing was expected any more."""
    why_unknown: str = ""
    """Why there is no ``base``, in a few words."""
    doubts: list[str] = field(default_factory=list)
    """What else the server answered that is no /stats of ours."""
    server_is_here: bool
    """Whether it is on the conductor's host, whose cores can be seen."""
    server_pids: set[int] | None
    """The pids, as seen from here, of the server and its descendants; None where it is not known which they are."""
    own_pids: set[int]
    """The pids of the conductor and its descendants: workers and drift probes."""
    server_throttled: list[Quota]
    """How far CPU quotas held the server's process back in the window, as far as can be seen from here."""
    open_before: int
    """Our connections that the server may have had open when it answered for ``before``; next, for ``after``."""
    open_after: int
    server_checks: int
    """Connections of ours after ``base`` that were no user's."""
    opened: MachineSample | None
    closed: MachineSample | None
    gaps: list[CoreGap]
    records: list[WorkerRecord]
    users: int
    """Users that were started."""
    lost_workers: list[str]
    stats_lost_why: str = ""
    """Why the server did not answer for ``before`` or ``after``."""

    @property
    def duration_s(self) -> float:
        """The length of the window."""
        return len(self.window) / US_A_SECOND

    @property
    def server_is_known(self) -> bool:
        """Whether its /stats tell what it did in the window."""
        return self.before is not None and self.after is not None

    @property
    def server_cpus(self) -> list[int] | None:
        """The cores that the server may run on, where they are ours to look at."""
        return self.base.process.cpus if self.base is not None and self.server_is_here else None
