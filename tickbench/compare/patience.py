"""
When a machine cannot measure: after how many spoiled runs a comparison stops, what it says, and what it makes again.

Decided by the runs that were made and by nothing else, so that a comparison that stopped goes on as one does that was
broken off. Pure: knows nothing of processes, clocks or the screen.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from tickbench.compare.results import Run
from tickbench.compare.suite import Suite

SHARE_TO_WAIT = 0.1
"""Of what the whole comparison takes: so long it waits for a machine that has a bad minute."""
LEAST_WAIT_S, LONGEST_WAIT_S = 60.0, 600.0
"""A comparison that may wait for less than the first stops at once: it is soon made anew."""
NUMBER = re.compile(r"\d[\d.,]*")
ADVICE = {
    "stole": "Use a quieter host, dedicated cores, or another hour: the hypervisor gives its cores to others as well",
    "other processes": (
        "End what else runs on {server} (tickbench doctor names what computes at that moment), or give tickbench two "
        "cores that nothing else uses (taskset)"
    ),
    "CPU quota": "Give the container a larger CPU quota, or none (docker --cpus, limits.cpu in Kubernetes)",
    "was away": "Use a quieter host or dedicated cores: what outranks every process here keeps {server} for itself",
    "clock": "Keep whatever sets the clock (ntpd, chronyd, the hypervisor's tools) from stepping it until the end",
}
"""What to do about a reason that has these words; that about the reason that there was most often is told."""
NO_ADVICE = "tickbench doctor says what is known of this machine"


class Unfit(Struct, frozen=True):
    """Why a machine cannot measure."""

    happened: str
    """What was found, and in how many of the runs."""
    advice: str
    """What to do, in the imperative."""


def is_spoiled(run: Run) -> bool:
    """Whether the machine is to blame that the run cannot be trusted, whatever else there is against it."""
    return run.load is not None and bool(run.load.validity.machine)


def is_unfit(suite: Suite, runs: Sequence[Run]) -> bool:
    """
    Whether the last runs say that the machine cannot measure: as many spoiled ones as the suite bears, or twice, ...

    Never for a suite that takes runs as they come, and makes none again.

    """
    spoiled = _spoiled_at_end(_in_order(runs))
    return _stops(suite) and spoiled > 0 and spoiled % suite.stop_after == 0


def waived(suite: Suite, runs: Sequence[Run]) -> set[int]:
    """
    Return the numbers of the runs that ended in a stop: they are no attempts.

    What was measured while the machine was unfit is kept, and made again as if it had not been tried: for the machine's
    reasons, which do not depend on the arm.

    """
    found: set[int] = set()
    if not _stops(suite):
        return found
    streak: list[int] = []
    for run in _in_order(runs):
        streak = [*streak, run.number] if is_spoiled(run) else []
        if len(streak) == suite.stop_after:
            found.update(streak)
            streak = []
    return found


def quiet_wait_s(suite: Suite, runs: Sequence[Run]) -> float:
    """Return how long the next run waits for idle cores: half as long as the one before, where that waited in vain."""
    in_vain = 0
    for run in reversed(_in_order(runs)):
        if run.quiet is None or run.quiet.is_quiet:
            break
        in_vain += 1
    return suite.quiet_wait_s / 2.0**in_vain


def wait_s(estimate_s: float) -> float:
    """Return how long a comparison that takes so long in all may wait for a machine that is unfit; 0: it stops."""
    bound_s = min(LONGEST_WAIT_S, SHARE_TO_WAIT * estimate_s)
    return bound_s if bound_s >= LEAST_WAIT_S else 0.0


def why_unfit(runs: Sequence[Run]) -> Unfit | None:
    """Return what spoiled those of some runs that the machine spoiled, and what to do; None if it spoiled none."""
    spoiled = [run for run in _in_order(runs) if is_spoiled(run)]
    reasons = [reason for run in spoiled if run.load is not None for reason in run.load.validity.machine]
    if not reasons:
        return None
    # The same reason has other numbers in each run: the worst stands for all.
    of_kind: dict[str, list[str]] = {}
    for reason in reasons:
        of_kind.setdefault(NUMBER.sub("#", reason), []).append(reason)
    by_count = sorted(of_kind.values(), key=len, reverse=True)
    happened = [f"{_at_worst(alike)} in {len(alike)} of {len(runs)} runs" for alike in by_count[:2]]
    most = [alike[0] for alike in by_count]
    return Unfit("; ".join(happened), _advice(most, spoiled[-1].cpus_server))


def _first_number(reason: str) -> float:
    found = NUMBER.search(reason)
    return float(found.group().replace(",", "").rstrip(".")) if found else 0.0


def _at_worst(reasons: Sequence[str]) -> str:
    worst = max(reasons, key=_first_number)
    return worst if len(set(reasons)) == 1 else NUMBER.sub(lambda number: f"up to {number.group()}", worst, count=1)


def _stops(suite: Suite) -> bool:
    return suite.stop_after > 0 and suite.max_attempts > 1


def _advice(reasons: Sequence[str], cpus_server: Sequence[int] | None) -> str:
    server = f"core {cpus_server[0]}" if cpus_server is not None and len(cpus_server) == 1 else "the server's cores"
    words = (advice for reason in reasons for words, advice in ADVICE.items() if words in reason)
    return next(words, NO_ADVICE).format(server=server)


def _in_order(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: run.number)


def _spoiled_at_end(runs: Sequence[Run]) -> int:
    for back, run in enumerate(reversed(runs)):
        if not is_spoiled(run):
            return back
    return len(runs)
