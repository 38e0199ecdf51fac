"""A run that is over, as it is summarised: what was asked for, what the server told, what each worker measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    server_pids: set[int] | None
    """Its process, and all that come from it, by our numbers; None where it can't be told which it is."""
    own_pids: set[int]
    """The conductor's process, and all that come from it: workers in it or beside it, drift probes."""
    server_throttled: list[Quota]
    """What quotas of CPU time held back of that process in the window, as far as it shows from outside."""
    """On the conductor's host, whose cores are known."""
    open_before: int
    """Our connections that may have been open for the server when it answered for ``before``, as the next."""
    open_after: int
    knocks: int
    """Connections of ours behind ``base`` that were no user's."""
    opened: MachineSample | None
    closed: MachineSample | None
    gaps: list[CoreGap]
    parts: list[WorkerRecord]
    users: int
    """That were started."""
    lost_workers: list[str]
    stats_lost_why: str = ""
    """Why the server did not answer for ``before`` or ``after``."""

    @property
    def duration_s(self) -> float:
        """How long the window was."""
        return len(self.window) / US_A_SECOND

    @property
    def server_is_known(self) -> bool:
        """Its /stats tell what it did in the window."""
        return self.before is not None and self.after is not None

    @property
    def server_cpus(self) -> list[int] | None:
        """The cores that the server may run on, where they are ours to look at."""
        return self.base.process.cpus if self.base is not None and self.server_is_here else None
