"""
Everything that can be held against a run: when, in which words, and which figures stay good all the same.

A reason says that the numbers cannot be trusted; a warning names something that was found although they stand. What the
server does (refuse, close, be late) is a result and never a reason. :mod:`loadtests.verdict.validity` judges by them.
"""

from collections.abc import Callable
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

from loadtests.verdict.findings import Findings, ValidityLimits

FULL = "Maximum players reached"
"""The protocol's error text for a client that gets no snake."""

# Figures that a reason may spare: stolen CPU time, say, does not change memory. A figure that is in none of these is
# spoiled by every reason: new figures are doubted until somebody decides.

COUNTS = (
    "reach",
    "frames.missing",
    "frames.duplicate",
    "frames.out_of_order",
    "connections.requested",
    "connections.closed_early",
)
"""
What came of what was sent: a server that gets its core late sends late, but sends.

How many connected, or how many ticks there were, is not among them: a server without time skips due times, and with a
tick budget it refuses newcomers.
"""
WEIGHED = ("server.rss_per_connection_bytes", "generator.rss_per_connection_bytes")
"""Found after the window, by connections made for it."""
MEMORY = ("server.rss_bytes", "generator.rss_bytes", *WEIGHED)
CPU = ("server.cpu_percent", "server.cpu_us_per_frame", "generator.cpu_percent", "generator.us_per_frame")
"""Whatever shares a core spoils them: caches are shared, and some kernels charge stolen time to the process."""
SERVERS_OWN = ("server.skipped_ticks", "server.ticks")
"""What the server says of its own ticks."""
BEYOND_THE_MACHINE = ("ticks_came", "longest_silence_ms")
"""Good where far more ticks did not come than the time that was taken from the server can account for."""
THE_MIDDLE = (
    "tick_lateness_ms.p50",
    "delivery_ms.p50",
    "interval_error_ms.p50",
    "server.cpu_us_per_frame",
    "generator.us_per_frame",
)
"""Not moved by a gap or two that touched few of the ticks: gaps decide tails, and how many ticks came."""


class Effect(NamedTuple):
    """What a reason means for the figures of a run."""

    spares: tuple[str, ...] = ()
    """The figures (names, or their beginnings) that it does not spoil."""
    at_fault: Literal["", "machine", "generator"] = ""
    """
    The machine: no server and no generator can cause it, so that the run may be repeated. The generator: it was at
    its limit, whatever the cause.
    """
    takes_time: bool = False
    """It is known how much time of the server's core it took."""
    is_gap: bool = False
    """It is known how many ticks it can have touched."""


HELD_BACK = Effect((*COUNTS, *MEMORY), "machine")
TIME_TAKEN = Effect((*COUNTS, *MEMORY), "machine", takes_time=True)
CORE_AWAY = Effect((*COUNTS, *MEMORY), "machine", takes_time=True, is_gap=True)
CORE_PERHAPS_KEPT = Effect((*COUNTS, *MEMORY), takes_time=True, is_gap=True)
CLOCK_SET = Effect((*COUNTS, *MEMORY, *CPU, *SERVERS_OWN, "ticks_came"), "machine")
READ_LATE = Effect((*COUNTS, *MEMORY, *SERVERS_OWN, "ticks_came"), "generator")
"""It read late what came in time. It reads less often then, which saves the server CPU per frame."""
ANOTHER_LOAD = Effect(at_fault="generator")
NOT_WARM = Effect((*COUNTS, *WEIGHED, "ticks_came"))
SPOILS_ALL = Effect()

Wording = Callable[[Findings, ValidityLimits], str]
Condition = Callable[[Findings, ValidityLimits], object]


class RunCheck(NamedTuple):
    """One thing that can be held against a run."""

    name: str
    words: str | Wording
    """What is wrong, to be filled in with ``found`` and ``limits``; or a function that says it, or nothing."""
    when: Condition | None = None
    """Whether something is wrong; None: it is if the finding of the check's own name is neither empty nor 0."""
    effect: Effect = SPOILS_ALL
    """What a reason spoils; a warning spoils nothing."""
    in_short: str = ""
    """Of what spoils a slot: what it was, without its figures, so that such slots can be counted by it."""

    def objection(self, found: Findings, limits: ValidityLimits) -> str:
        """Return what is wrong in words, empty where all is well."""
        if not isinstance(self.words, str):
            return self.words(found, limits)
        is_wrong = getattr(found, self.name) if self.when is None else self.when(found, limits)
        return self.words.format(found=found, limits=limits) if is_wrong else ""


def is_behind(found: Findings, limits: ValidityLimits) -> bool:
    """Return whether so many frames were read together that it was no chance."""
    return found.coalesced_percent > limits.coalesced_percent and found.coalesced > limits.coalesced_frames


def is_busy(found: Findings, limits: ValidityLimits) -> bool:
    """Return whether the busiest worker took too much of its core."""
    return found.generator_cpu_percent > limits.generator_percent


def is_saturated(found: Findings, limits: ValidityLimits) -> bool:
    """Return whether the generator itself was saturated."""
    return is_busy(found, limits) or is_behind(found, limits)


def _is_foreign(found: Findings, limits: ValidityLimits) -> bool:
    return (found.foreign_generator_percent or 0) > limits.foreign_percent


# Conditions and words that take more than a line


def _away(found: Findings, limits: ValidityLimits) -> str:
    limit_ms = limits.core_gap_periods * (found.period_ms or 0)
    if not limit_ms or (found.core_gap_ms or 0) <= limit_ms:
        return ""
    return f"the server's core was away for {found.core_gap_ms:.1f} ms at once (limit half a period, {limit_ms:g} ms)"


def _is_late(found: Findings, limits: ValidityLimits) -> bool:
    limit_ms = limits.lag_periods * (found.period_ms or 0)
    return found.is_stamped and 0 < limit_ms < (found.lag_p99_ms or 0)


def _cold(found: Findings, limits: ValidityLimits) -> str:
    if len(found.stretch_p50_us) < 2:
        return ""
    warm_us, first_us, *later = found.stretch_p50_us
    # Some servers go up and down all the time: that is no sign of a cold start.
    own = [first_us, *later][len(later) // 2 :]
    fluctuation_us = max((abs(new - old) for old, new in pairwise(own)), default=0)
    limit_us = max(limits.warm_up_floor_us, limits.warm_up_percent / 100 * first_us, fluctuation_us)
    if abs(warm_us - first_us) <= limit_us:
        return ""
    # A small difference may be the machine's: it counts only if it goes on into the window, in the same direction. So
    # may a large one between slots, which are apart in time: a shared core is twice as fast now as a second later.
    is_large = max(warm_us, first_us) > (1 + limits.warm_up_large_percent / 100) * min(warm_us, first_us)
    is_large = is_large and not found.in_slots
    next_us = first_us - median(later) if later else 0
    goes_on = abs(next_us) > limit_us and (warm_us > first_us) == (next_us > 0)
    if (later or found.in_slots) and not is_large and not goes_on:
        return ""
    return (
        f"the warm-up was too short: p50 lateness was {warm_us / 1000:.2f} ms at its end and "
        f"{first_us / 1000:.2f} ms in the first two seconds (limit {limit_us / 1000:.2f} ms)"
    )


def _is_off(found: Findings, limits: ValidityLimits) -> bool:
    connections, by_law = found.concurrency or (0, 0)
    return abs(by_law - connections) > limits.concurrency_percent / 100 * connections


def _stats_lost(found: Findings, _: ValidityLimits) -> str:
    if not found.stats_lost:
        return ""
    why = f" ({found.stats_lost_why})" if found.stats_lost_why else ""
    return (
        f"the server did not answer GET /stats{why}: its own figures, who else took its core, and whether it skipped "
        "frames for slow consumers are not known"
    )


def _unknown_server(found: Findings, _: ValidityLimits) -> str:
    if found.server_unknown:
        why = f" ({found.why_unknown})" if found.why_unknown else ""
        return f"the server has no /stats of ours{why}: its clock is taken to be this host's, and it tells no figures"
    if found.same_host:
        return ""
    where = "is on another host"
    if found.same_boot:
        where = (
            "has this host's boot id and not its clock (a time namespace, or a machine that was cloned), and is "
            "taken to be on another host"
        )
    uncertain_ms = (found.clock_uncertainty_us or 0) / 1000
    return f"the server {where}: one-way figures are uncertain by {uncertain_ms:.3f} ms, half the best round trip"


def _lost_workers(found: Findings, _: ValidityLimits) -> str:
    lost = found.lost_workers
    return f"{len(lost)} of the workers were lost, with all that they had measured: {', '.join(lost)}" if lost else ""


def _unassigned(found: Findings, _: ValidityLimits) -> str:
    why = "others ran beside it on purpose" if found.others_untold else ""
    if found.unassigned_percent is not None:
        why = f"{found.unassigned_percent:.1f} % of it were not the server's by its own count"
    untold = "and not all processes can be told from here (a container, another pid namespace)"
    return f"whether others took the server's core is not known: {why}, {untold}" if why else ""


def _unwatched_cpus(found: Findings, _: ValidityLimits) -> str:
    cores = ", ".join(map(str, found.unwatched_cpus))
    unknown = "where the server may run: whether it was away is not known"
    return f"no drift probe watched core {cores}, {unknown}" if cores else ""


def _large_clock_step(found: Findings, limits: ValidityLimits) -> str:
    is_large = found.clock_step_us > limits.clock_step_us
    return f"the clock was stepped by {found.clock_step_us / 1000:.1f} ms during the run" if is_large else ""


def _not_come(found: Findings, _: ValidityLimits) -> str:
    silence = f"longest silence {found.longest_silence_ms / 1000:.2f} s"
    return f"ticks did not come, of {found.due:,} that were due: {found.not_come}; {silence}" if found.not_come else ""


def _told(found: Findings, _: ValidityLimits) -> str:
    words = f"the server told its clients of errors: {found.told}" if found.told else ""
    if found.bots and FULL in found.told:
        words += f"; {found.bots} of the places in each room are its bots', serve --bots 0 leaves them to players"
    return words


FOREIGN = "other processes took {found.foreign_generator_percent:.1f} % of the generator's core"
BUSY = "the generator took {found.generator_cpu_percent:.0f} % of a core (limit {limits.generator_percent:g} %)"

REASONS: tuple[RunCheck, ...] = (
    RunCheck(
        "throttled",
        "a CPU quota (cgroup, as of a container) held back {found.throttled}; raise it, or measure without one",
        effect=HELD_BACK,
        in_short="a CPU quota held back",
    ),
    RunCheck(
        "steal",
        "the hypervisor stole {found.steal_percent:.1f} % of a measured core (limit {limits.steal_percent:g} %)",
        lambda found, limits: (found.steal_percent or 0) > limits.steal_percent,
        TIME_TAKEN,
        "the hypervisor stole",
    ),
    RunCheck(
        "core_gap",
        lambda found, limits: _away(found, limits) if found.core_gap_outranks else "",
        effect=CORE_AWAY,
        in_short="the server's core was away",
    ),
    RunCheck(
        "foreign_on_server",
        "other processes took {found.foreign_server_percent:.1f} % of the server's core "
        "(limit {limits.foreign_percent:g} %)",
        lambda found, limits: (found.foreign_server_percent or 0) > limits.foreign_percent,
        TIME_TAKEN,
        "other processes took CPU",
    ),
    RunCheck("large_clock_step", _large_clock_step, effect=CLOCK_SET, in_short="the clock was stepped"),
    RunCheck(
        "slots_spoiled",
        "the machine spoiled all of the {found.slots_spoiled} slots: the figures are those of the last",
        effect=HELD_BACK,
    ),
    RunCheck(
        "coalesced_frames",
        "{found.coalesced_percent:.1f} % of the frames were read together with what came later, so that their time is "
        "an upper bound (limit {limits.coalesced_percent:g} %)",
        is_behind,
        READ_LATE,
    ),
    RunCheck(
        "cpu_without_stamps", BUSY, lambda found, limits: not found.is_stamped and is_busy(found, limits), READ_LATE
    ),
    RunCheck(
        "lag_without_stamps",
        "the generator's loop lagged by {found.lag_p99_ms:.1f} ms (p99) without kernel timestamps "
        "(limit {limits.lag_ms:g} ms)",
        lambda found, limits: not found.is_stamped and (found.lag_p99_ms or 0) > limits.lag_ms,
        READ_LATE,
    ),
    RunCheck(
        "foreign_on_generator_without_stamps",
        FOREIGN,
        lambda found, limits: not found.is_stamped and _is_foreign(found, limits),
        READ_LATE,
    ),
    RunCheck(
        "slow_skips",
        "the generator was a slow consumer: the server skipped {found.slow_skips} frames for its connections",
        effect=ANOTHER_LOAD,
    ),
    RunCheck(
        "own_limits",
        "connections were lost to the generator's own limits: {found.own_limits}",
        effect=ANOTHER_LOAD,
    ),
    RunCheck("not_started", "{found.not_started} users were not started in time", effect=ANOTHER_LOAD),
    RunCheck(
        "left_early",
        "the number of users was changed during the run: {found.left_early} connections left before its end",
        effect=ANOTHER_LOAD,
    ),
    RunCheck("lost_workers", _lost_workers, effect=ANOTHER_LOAD),
    RunCheck(
        "core_gap_beside_the_server",
        lambda found, limits: "" if found.core_gap_outranks else _away(found, limits),
        effect=CORE_PERHAPS_KEPT,
    ),
    RunCheck(
        "timed_out",
        "the generator, itself at its end, gave up on {found.timed_out} connections that had no tick frame in time",
        lambda found, limits: found.timed_out and is_saturated(found, limits),
    ),
    RunCheck(
        "nothing_measured",
        "no tick was due in the window: nothing was measured",
        lambda found, _: not found.expected and not found.due,
    ),
    RunCheck(
        "silent_in_slots",
        "no frame came in any slot, of {found.expected:,} that were expected: the server may take the time in which it "
        "was made to stand still for its peers'; measure it in whole runs (slot_s = 0)",
        lambda found, _: found.in_slots and found.expected and not found.received,
    ),
    RunCheck("cold", _cold, effect=NOT_WARM),
)
"""Each says why the numbers cannot be trusted."""

WARNINGS: tuple[RunCheck, ...] = (
    RunCheck("not_come", _not_come),
    RunCheck("refused", "connections were refused: {found.refused}"),
    RunCheck(
        "kept_waiting",
        "the server kept {found.timed_out} connections waiting that had no tick frame in time",
        lambda found, limits: found.timed_out and not is_saturated(found, limits),
    ),
    RunCheck("closed_early", "connections ended early: {found.closed_early}"),
    RunCheck("cut", "users were cut off, which is counted for itself: {found.cut}"),
    RunCheck("stats_lost", _stats_lost),
    RunCheck(
        "no_stamps",
        "the kernel gave no receive timestamps: a frame's time is that of its read",
        lambda found, _: not found.is_stamped,
    ),
    RunCheck(
        "few_coalesced_frames",
        "{found.coalesced} of only {found.received} frames were read together with what came later: their time is an "
        "upper bound, and so may be percentiles",
        lambda found, limits: found.coalesced_percent > limits.coalesced_percent and not is_behind(found, limits),
    ),
    RunCheck("cpu_with_stamps", BUSY, lambda found, limits: found.is_stamped and is_busy(found, limits)),
    RunCheck(
        "lag_with_stamps",
        "the generator's loop lagged by {found.lag_p99_ms:.1f} ms (p99); arrivals are the kernel's all the same",
        _is_late,
    ),
    RunCheck(
        "lag_unknown",
        "whether the generator's loop lagged is not known: this system has no timerfd",
        lambda found, _: found.lag_p99_ms is None,
    ),
    RunCheck(
        "foreign_on_generator_with_stamps",
        FOREIGN,
        lambda found, limits: found.is_stamped and _is_foreign(found, limits),
    ),
    RunCheck("unassigned", _unassigned),
    RunCheck("unwatched_cpus", _unwatched_cpus),
    RunCheck(
        "shared_cpus",
        "the server and the generator may run on the same cores, and disturb each other; pin them (taskset)",
    ),
    RunCheck(
        "small_clock_step",
        "the clock was stepped by {found.clock_step_us} us during the run",
        lambda found, limits: 0 < found.clock_step_us <= limits.clock_step_us,
    ),
    RunCheck("unknown_server", _unknown_server),
    RunCheck("others", "others were connected to the server: {found.others}"),
    RunCheck("doubts", "the server's /stats is not believed, and what follows from it is left out: {found.doubts}"),
    RunCheck(
        "stats_late_ms",
        "the server answered GET /stats only {found.stats_late_ms:.0f} ms into the window: its own figures, and who "
        "else took its core, are those of the rest",
    ),
    RunCheck(
        "negative_deliveries",
        "{found.negative_deliveries} frames arrived before they were sent: the two clocks differ",
    ),
    RunCheck(
        "concurrency",
        "Little's law: {found.concurrency[0]:g} connections in a closed loop make {found.concurrency[1]:.1f} by "
        "throughput and answer time; the rest of the time the generator itself took",
        _is_off,
    ),
    RunCheck(
        "unexplained_ticks",
        "{found.unexplained_ticks} due times were no tick for anybody, and are taken for skipped: whether the server "
        "sent them is not known",
    ),
    RunCheck(
        "lost_ticks",
        "ticks came to nobody that the server did not skip, and are counted as missing: {found.lost_ticks}",
    ),
    RunCheck("broken", "the server broke the protocol: {found.broken}"),
    RunCheck("told", _told),
)
"""Each names something that was found although the numbers stand."""
