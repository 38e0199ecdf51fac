"""
Judges whether the numbers of a run can be trusted, and says in words why not.

A reason says that they cannot; a warning names something that was found although they stand. What the server does
(refuse, close, be late) is a result and never a reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
from statistics import median

from loadtests.verdict.findings import LIMITS, Findings, ValidityLimits
from loadtests.verdict.spared import BEYOND_THE_MACHINE, SPARED, THE_MIDDLE
from shared.measure.summary import Validity

FULL = "Maximum players reached"
"""The protocol's error text for a client that gets no snake."""

Doubt = Callable[[Findings, ValidityLimits], str | None]
"""
A check: returns its objection in words, None where all is well.

Which figures a reason leaves alone is in :mod:`loadtests.verdict.spared`.
"""


def judge(findings: Findings, limits: ValidityLimits = LIMITS) -> Validity:
    """Return the verdict on a run."""
    found = {check: words for check in (*REASONS, *WARNINGS) if (words := check(findings, limits))}

    def of(checks: tuple[Doubt, ...]) -> list[str]:
        return [found[check] for check in checks if check in found]

    def spared_by(check: Doubt) -> tuple[str, ...]:
        beyond = BEYOND_THE_MACHINE if check in TAKES_TIME and _is_beyond_the_machine(findings, limits) else ()
        middle = THE_MIDDLE if check in GAPS and findings.gapped_percent <= limits.gapped_percent else ()
        return (*SPARED.get(check.__name__, ()), *beyond, *middle)

    spared = {words: spared_by(check) for check, words in found.items() if check in REASONS}
    return Validity.of(of(REASONS), of(WARNINGS), machine=of(MACHINE), generator=of(GENERATOR), spared=spared)


def is_saturated(findings: Findings, limits: ValidityLimits = LIMITS) -> bool:
    """Return whether the generator itself was saturated."""
    is_behind = _coalesced(findings) > limits.coalesced_percent and findings.coalesced > limits.coalesced_frames
    return findings.generator_cpu_percent > limits.generator_percent or is_behind


def limits_in_words(limits: ValidityLimits = LIMITS) -> list[tuple[str, float]]:
    """Return the name and value of each threshold."""
    return [(limit.name, getattr(limits, limit.name)) for limit in fields(limits)]


def _coalesced(findings: Findings) -> float:
    return 100 * findings.coalesced / findings.received if findings.received else 0.0


def _is_beyond_the_machine(found: Findings, limits: ValidityLimits) -> bool:
    """Return whether far more ticks did not come than whoever took time from the server can account for."""
    if found.taken_percent is None:
        return False
    return found.not_come_percent > limits.beyond_times * found.taken_percent + limits.beyond_percent


# The machine


def _steal(found: Findings, limits: ValidityLimits) -> str | None:
    if (found.steal_percent or 0) <= limits.steal_percent:
        return None
    return f"the hypervisor stole {found.steal_percent:.1f} % of a measured core (limit {limits.steal_percent:g} %)"


def _core_gap(found: Findings, limits: ValidityLimits) -> str | None:
    return _gap(found, limits) if found.core_gap_outranks else None


def _core_gap_beside_the_server(found: Findings, limits: ValidityLimits) -> str | None:
    return None if found.core_gap_outranks else _gap(found, limits)


def _gap(found: Findings, limits: ValidityLimits) -> str | None:
    limit_ms = limits.core_gap_periods * (found.period_ms or 0)
    if not limit_ms or (found.core_gap_ms or 0) <= limit_ms:
        return None
    return f"the server's core was away for {found.core_gap_ms:.1f} ms at once (limit half a period, {limit_ms:g} ms)"


def _foreign_on_server(found: Findings, limits: ValidityLimits) -> str | None:
    if (found.foreign_server_percent or 0) <= limits.foreign_percent:
        return None
    share = f"{found.foreign_server_percent:.1f} %"
    return f"other processes took {share} of the server's core (limit {limits.foreign_percent:g} %)"


def _throttled(found: Findings, _: ValidityLimits) -> str | None:
    if not found.throttled:
        return None
    return f"a CPU quota (cgroup, as of a container) held back {found.throttled}; raise it, or measure without one"


def _unassigned(found: Findings, _: ValidityLimits) -> str | None:
    if found.unassigned_percent is None:
        return None
    return (
        f"whether others took the server's core is not known: {found.unassigned_percent:.1f} % of it were not the "
        "server's by its own count, and not all processes can be told from here (a container, another pid namespace)"
    )


def _unwatched(found: Findings, _: ValidityLimits) -> str | None:
    if not found.unwatched_cpus:
        return None
    cores = ", ".join(map(str, found.unwatched_cpus))
    return f"no drift probe watched core {cores}, where the server may run: whether it was away is not known"


def _shared_cores(found: Findings, _: ValidityLimits) -> str | None:
    if not found.shared_cpus:
        return None
    return "the server and the generator may run on the same cores, and disturb each other; pin them (taskset)"


def _foreign_on_generator_without_stamps(found: Findings, limits: ValidityLimits) -> str | None:
    return _foreign_on_generator(found, limits) if found.timestamps == "read" else None


def _foreign_on_generator_with_stamps(found: Findings, limits: ValidityLimits) -> str | None:
    return _foreign_on_generator(found, limits) if found.timestamps == "kernel" else None


def _foreign_on_generator(found: Findings, limits: ValidityLimits) -> str | None:
    if (found.foreign_generator_percent or 0) <= limits.foreign_percent:
        return None
    return f"other processes took {found.foreign_generator_percent:.1f} % of the generator's core"


def _large_clock_step(found: Findings, limits: ValidityLimits) -> str | None:
    if found.clock_step_us <= limits.clock_step_us:
        return None
    return f"the clock was stepped by {found.clock_step_us / 1000:.1f} ms during the run"


def _small_clock_step(found: Findings, limits: ValidityLimits) -> str | None:
    if not 0 < found.clock_step_us <= limits.clock_step_us:
        return None
    return f"the clock was stepped by {found.clock_step_us} us during the run"


# The generator


def _coalesced_frames(found: Findings, limits: ValidityLimits) -> str | None:
    share = _coalesced(found)
    if share <= limits.coalesced_percent or found.coalesced <= limits.coalesced_frames:
        return None
    return (
        f"{share:.1f} % of the frames were read together with what came later, so that their time is an upper bound "
        f"(limit {limits.coalesced_percent:g} %)"
    )


def _few_coalesced_frames(found: Findings, limits: ValidityLimits) -> str | None:
    if _coalesced(found) <= limits.coalesced_percent or found.coalesced > limits.coalesced_frames:
        return None
    return (
        f"{found.coalesced} of only {found.received} frames were read together with what came later: their time is an "
        "upper bound, and so may be percentiles"
    )


def _cpu_without_stamps(found: Findings, limits: ValidityLimits) -> str | None:
    return _cpu(found, limits) if found.timestamps == "read" else None


def _cpu_with_stamps(found: Findings, limits: ValidityLimits) -> str | None:
    return _cpu(found, limits) if found.timestamps == "kernel" else None


def _cpu(found: Findings, limits: ValidityLimits) -> str | None:
    if found.generator_cpu_percent <= limits.generator_percent:
        return None
    share = f"{found.generator_cpu_percent:.0f} %"
    return f"the generator took {share} of a core (limit {limits.generator_percent:g} %)"


def _lag_without_stamps(found: Findings, limits: ValidityLimits) -> str | None:
    if found.timestamps == "kernel" or (found.lag_p99_ms or 0) <= limits.lag_ms:
        return None
    lag = f"{found.lag_p99_ms:.1f} ms"
    return f"the generator's loop lagged by {lag} (p99) without kernel timestamps (limit {limits.lag_ms:g} ms)"


def _lag_with_stamps(found: Findings, limits: ValidityLimits) -> str | None:
    limit_ms = limits.lag_periods * (found.period_ms or 0)
    if found.timestamps == "read" or not limit_ms or (found.lag_p99_ms or 0) <= limit_ms:
        return None
    return f"the generator's loop lagged by {found.lag_p99_ms:.1f} ms (p99); arrivals are the kernel's all the same"


def _no_stamps(found: Findings, _: ValidityLimits) -> str | None:
    if found.timestamps == "kernel":
        return None
    return "the kernel gave no receive timestamps: a frame's time is that of its read"


def _slow_consumer(found: Findings, _: ValidityLimits) -> str | None:
    if not found.slow_skips:
        return None
    return f"the generator was a slow consumer: the server skipped {found.slow_skips} frames for its connections"


def _nothing_measured(found: Findings, _: ValidityLimits) -> str | None:
    return None if found.expected or found.due else "no tick was due in the window: nothing was measured"


def _lag_unknown(found: Findings, _: ValidityLimits) -> str | None:
    if found.lag_p99_ms is not None:
        return None
    return "whether the generator's loop lagged is not known: this system has no timerfd"


def _lost_workers(found: Findings, _: ValidityLimits) -> str | None:
    if not found.lost_workers:
        return None
    lost = found.lost_workers
    return f"{len(lost)} of the workers were lost, with all that they had measured: {', '.join(lost)}"


def _not_started(found: Findings, _: ValidityLimits) -> str | None:
    if not found.not_started:
        return None
    return f"{found.not_started} users were not started in time"


def _left_early(found: Findings, _: ValidityLimits) -> str | None:
    if not found.left_early:
        return None
    return f"the number of users was changed during the run: {found.left_early} connections left before its end"


def _concurrency(found: Findings, limits: ValidityLimits) -> str | None:
    if found.concurrency is None:
        return None
    connections, by_law = found.concurrency
    if abs(by_law - connections) <= limits.concurrency_percent / 100 * connections:
        return None
    return (
        f"Little's law: {connections:g} connections in a closed loop make {by_law:.1f} by throughput and answer time; "
        "the rest of the time the generator itself took"
    )


def _own_limits(found: Findings, _: ValidityLimits) -> str | None:
    return f"connections were lost to the generator's own limits: {found.own_limits}" if found.own_limits else None


def _timed_out(found: Findings, limits: ValidityLimits) -> str | None:
    if not found.timed_out or not is_saturated(found, limits):
        return None
    return f"the generator, itself at its end, gave up on {found.timed_out} connections that had no tick frame in time"


def _kept_waiting(found: Findings, limits: ValidityLimits) -> str | None:
    if not found.timed_out or is_saturated(found, limits):
        return None
    return f"the server kept {found.timed_out} connections waiting that had no tick frame in time"


def _cold(found: Findings, limits: ValidityLimits) -> str | None:
    if len(found.stretch_p50_us) < 2:
        return None
    warm_us, first_us, *later = found.stretch_p50_us
    # Some servers go up and down all the time: that is no sign of a cold start.
    own = [first_us, *later][len(later) // 2 :]
    fluctuation_us = max((abs(new - old) for old, new in pairwise(own)), default=0)
    limit_us = max(limits.warm_up_floor_us, limits.warm_up_percent / 100 * first_us, fluctuation_us)
    if abs(warm_us - first_us) <= limit_us:
        return None
    # A small difference may be the machine's: it counts only if it goes on into the window.
    is_large = max(warm_us, first_us) > (1 + limits.warm_up_large_percent / 100) * min(warm_us, first_us)
    if later and not is_large and not _goes_on(warm_us - first_us, first_us - median(later), limit_us):
        return None
    return (
        f"the warm-up was too short: p50 lateness was {warm_us / 1000:.2f} ms at its end and "
        f"{first_us / 1000:.2f} ms in the first two seconds (limit {limit_us / 1000:.2f} ms)"
    )


def _goes_on(change_us: float, next_us: float, limit_us: float) -> bool:
    """Return whether the change after the first two seconds is also large, and in the same direction."""
    return abs(next_us) > limit_us and (change_us > 0) == (next_us > 0)


# The server and its connections


def _unknown_server(found: Findings, _: ValidityLimits) -> str | None:
    if found.server_unknown:
        why = f" ({found.why_unknown})" if found.why_unknown else ""
        return f"the server has no /stats of ours{why}: its clock is taken to be this host's, and it tells no figures"
    if not found.same_host:
        uncertain_ms = (found.clock_uncertainty_us or 0) / 1000
        where = "is on another host"
        if found.same_boot:
            where = (
                "has this host's boot id and not its clock (a time namespace, or a machine that was cloned), and is "
                "taken to be on another host"
            )
        return f"the server {where}: one-way figures are uncertain by {uncertain_ms:.3f} ms, half the best round trip"
    return None


def _stats_lost(found: Findings, _: ValidityLimits) -> str | None:
    if not found.stats_lost:
        return None
    why = f" ({found.stats_lost_why})" if found.stats_lost_why else ""
    return (
        f"the server did not answer GET /stats{why}: its own figures, who else took its core, and whether it skipped "
        "frames for slow consumers are not known"
    )


def _doubted(found: Findings, _: ValidityLimits) -> str | None:
    if not found.doubts:
        return None
    return f"the server's /stats is not believed, and what follows from it is left out: {found.doubts}"


def _not_come(found: Findings, _: ValidityLimits) -> str | None:
    if not found.not_come:
        return None
    silence = f"longest silence {found.longest_silence_ms / 1000:.2f} s"
    return f"ticks did not come, of {found.due:,} that were due: {found.not_come}; {silence}"


def _others(found: Findings, _: ValidityLimits) -> str | None:
    return f"others were connected to the server: {found.others}" if found.others else None


def _stats_late(found: Findings, _: ValidityLimits) -> str | None:
    if not found.stats_late_ms:
        return None
    return (
        f"the server answered GET /stats only {found.stats_late_ms:.0f} ms into the window: its own figures, and who "
        "else took its core, are those of the rest"
    )


def _unexplained_ticks(found: Findings, _: ValidityLimits) -> str | None:
    if not found.unexplained_ticks:
        return None
    return (
        f"{found.unexplained_ticks} due times were no tick for anybody, and are taken for skipped: whether the server "
        "sent them is not known"
    )


def _clocks_differ(found: Findings, _: ValidityLimits) -> str | None:
    if not found.negative_deliveries:
        return None
    return f"{found.negative_deliveries} frames arrived before they were sent: the two clocks differ"


def _lost_ticks(found: Findings, _: ValidityLimits) -> str | None:
    if not found.lost_ticks:
        return None
    return f"ticks came to nobody that the server did not skip, and are counted as missing: {found.lost_ticks}"


def _refused(found: Findings, _: ValidityLimits) -> str | None:
    return f"connections were refused: {found.refused}" if found.refused else None


def _closed_early(found: Findings, _: ValidityLimits) -> str | None:
    return f"connections ended early: {found.closed_early}" if found.closed_early else None


def _broken(found: Findings, _: ValidityLimits) -> str | None:
    return f"the server broke the protocol: {found.broken}" if found.broken else None


def _told(found: Findings, _: ValidityLimits) -> str | None:
    if not found.told:
        return None
    words = f"the server told its clients of errors: {found.told}"
    if found.bots and FULL in found.told:
        words += f"; {found.bots} of the places in each room are its bots', serve --bots 0 leaves them to players"
    return words


MACHINE: tuple[Doubt, ...] = (_throttled, _steal, _core_gap, _foreign_on_server, _large_clock_step)
"""Faults of the machine that no server and no generator can cause: such a run may be repeated."""

GAPS: tuple[Doubt, ...] = (_core_gap, _core_gap_beside_the_server)
"""Reasons of which it is known how many ticks they can have touched."""

TAKES_TIME: tuple[Doubt, ...] = (_steal, _core_gap, _core_gap_beside_the_server, _foreign_on_server)
"""Reasons of which it is known how much time of the server's core they took."""

GENERATOR: tuple[Doubt, ...] = (
    _coalesced_frames,
    _cpu_without_stamps,
    _lag_without_stamps,
    _foreign_on_generator_without_stamps,
    _slow_consumer,
    _own_limits,
    _not_started,
    _left_early,
    _lost_workers,
)
"""Signs that the generator was at its limit, whatever the cause."""

REASONS: tuple[Doubt, ...] = (
    *MACHINE,
    *GENERATOR,
    _core_gap_beside_the_server,
    _timed_out,
    _nothing_measured,
    _cold,
)
"""Each says why the numbers cannot be trusted."""

WARNINGS: tuple[Doubt, ...] = (
    _not_come,
    _refused,
    _kept_waiting,
    _closed_early,
    _stats_lost,
    _no_stamps,
    _few_coalesced_frames,
    _cpu_with_stamps,
    _lag_with_stamps,
    _lag_unknown,
    _foreign_on_generator_with_stamps,
    _unassigned,
    _unwatched,
    _shared_cores,
    _small_clock_step,
    _unknown_server,
    _others,
    _doubted,
    _stats_late,
    _clocks_differ,
    _concurrency,
    _unexplained_ticks,
    _lost_ticks,
    _broken,
    _told,
)
"""Each names something that was found although the numbers stand."""
