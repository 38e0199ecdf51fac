"""What a run found out about itself, and the limits that :mod:`loadtests.verdict.validity` holds it to."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ValidityLimits:
    """All thresholds, in one place; every report prints them."""

    steal_percent: float = 5.0
    """Time that the hypervisor took, of one measured core."""
    slot_steal_percent: float = 2.0
    """The same for one slot, which can be made again at once; its other limits are those of a whole run."""
    foreign_percent: float = 3.0
    """CPU of others on the server's cores (a reason) or on the generator's (a warning)."""
    uncharged_percent: float = 10.0
    """Where not all processes can be seen: if more of the server's cores is not the server's, it counts as others'."""
    clock_step_us: int = 1000
    coalesced_percent: float = 1.0
    coalesced_frames: int = 2
    """So many may be chance, however few frames there were."""
    generator_percent: float = 80.0
    """CPU of the busiest worker, of one core."""
    lag_ms: float = 1.0
    """p99 of the hub's lag where a frame's time is that of its read."""
    lag_periods: float = 0.5
    """p99 of the hub's lag in periods, where the kernel stamps: then lag is no error, until frames pile up."""
    warm_up_percent: float = 20.0
    """How far the p50 at the end of the warm-up may be off that of the window's first two seconds; more if the window's
    own changes by more from two seconds to the next in its second half."""
    warm_up_large_percent: float = 50.0
    """A smaller difference counts only if it goes on, from the first two seconds to the middle of the rest."""
    warm_up_floor_us: int = 200
    """Below this the difference is the machine's own and no sign of a cold server."""
    unstamped_percent: float = 0.1
    """Up to so many frames without a kernel timestamp, all count as stamped."""
    gapped_percent: float = 5.0
    """Share of due times: gaps of the server's core that touched no more do not move the p50s."""
    core_gap_periods: float = 0.5
    """The longest wait of a drift probe on the server's cores, in periods."""
    beyond_times: float = 1.5
    """Ticks that did not come beyond so many times the time taken from the server's core are the server's fault."""
    beyond_percent: float = 2.0
    """And so many more, in percent of the ticks: the last of a stretch that was taken is late by part of a period."""
    concurrency_percent: float = 10.0
    """How far a closed loop may be off Little's law."""


LIMITS = ValidityLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a run found out about itself; None for what could not be found out."""

    timestamps: Literal["kernel", "read"]
    period_ms: float | None
    received: int
    missing: int
    expected: int
    """Frames that should have been received, of all groups."""
    coalesced: int
    generator_cpu_percent: float
    """CPU of the worker that took most, of one core."""
    lag_p99_ms: float | None
    """The hub's lag in the worker where it was largest."""
    steal_percent: float | None
    core_gap_ms: float | None
    """The longest that a drift probe on one of the server's cores had to wait."""
    gapped_percent: float = 100.0
    """Share of the due times that gaps of more than half a period can have touched, at most."""
    core_gap_outranks: bool = True
    """The probes had a higher priority than the server: it is not the server's fault if they waited."""
    unwatched_cpus: list[int]
    """Cores that the server may run on and that no drift probe watched, though they are ours."""
    foreign_server_percent: float | None
    foreign_generator_percent: float | None
    unassigned_percent: float | None = None
    """The part of the server's cores that was not the server's by its own count, where it is not known whose it was, or
    whether it was anybody's."""
    others_untold: bool = False
    """Others ran beside the server on purpose, and what is neither theirs nor its own can't be told from theirs."""
    others: str = ""
    """Connections of the server that are not the run's, in words; empty without any."""
    throttled: str = ""
    """Who was held back by CPU quotas in the window, and for how long, in words; empty if nobody was."""
    shared_cpus: list[int]
    """Cores that both the server and the generator may run on."""
    clock_step_us: int
    slow_skips: int | None
    """Frames that the server skipped for connections that do not stall by plan."""
    own_limits: str
    """Connections lost to our own limits, in words; empty without any."""
    timed_out: int
    not_started: int
    """Users that were asked for, and that Locust did not start."""
    left_early: int
    """Connections of users that Locust stopped before the end of their scenario."""
    lost_workers: list[str]
    stretch_p50_us: list[int]
    """p50 lateness of the last two seconds of the warm-up, then of each two seconds of the window; empty where the
    scenario changes the load when the window opens."""
    server_unknown: bool
    """The server has no /stats of ours."""
    why_unknown: str = ""
    """What is wrong with its /stats, in a few words."""
    doubts: str = ""
    """What it states in /stats and is not believed, in words; empty without any."""
    stats_lost: bool
    """The server had /stats, and did not answer for them before or after the window."""
    stats_late_ms: float
    """How far into the window the answer for its start was given, 0 if before."""
    same_host: bool
    same_boot: bool = False
    """The server states our boot id."""
    clock_uncertainty_us: int | None
    negative_deliveries: int
    concurrency: tuple[float, float] | None
    """Of a closed loop: its connections, and what Little's law makes of its throughput and mean answer time."""
    unexplained_ticks: int
    """Due times for which nobody got a tick, where the server does not say whether it skipped them."""
    lost_ticks: str
    """Ticks that nobody in a room got, though its server did not skip them, in words; empty without any."""
    refused: str
    closed_early: str
    broken: str
    """What the server sent that a protocol forbids, in words."""
    told: str
    """Texts of ``error`` commands."""
    bots: int = 0
    """The server's own players in each room, as it says."""
    due: int = 0
    """As :attr:`~loadtests.account.counts.Accounts.due` of the main group; 0 in old evidence."""
    not_come: str = ""
    """Why ticks of these did not come, in words; empty without any."""
    not_come_percent: float = 0.0
    longest_silence_ms: float = 0.0
    taken_percent: float | None = None
    """Share of the server's core that was stolen or taken by other processes, as far as is known."""
    in_slots: bool = False
    """The window was cut into slots, with other arms' between them."""
    slots_spoiled: int = 0
    """How many slots were made, where the machine spoiled all of them."""
    stats_lost_why: str = ""
    """Why the server did not answer for its /stats."""
    cut: str = ""
    """What became of the users who were cut off, in words; empty if nobody was, or comes back."""

    @property
    def coalesced_percent(self) -> float:
        """Of the frames that came."""
        return 100 * self.coalesced / self.received if self.received else 0.0

    @property
    def is_stamped(self) -> bool:
        """Whether the kernel stamped what arrived."""
        return self.timestamps == "kernel"
