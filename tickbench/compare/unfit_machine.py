"""
Decide when a comparison stops since the machine spoils its runs, what it then says, and which runs are made again.

Decided by the runs that were made and by nothing else, so that a comparison that stopped can be resumed like one that
was interrupted.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from shared.measure.summary import FOR_ANOTHER
from tickbench.compare.runs import Run, RunIndex

SHARE_TO_WAIT = 0.1
"""Share of its whole time that a comparison may wait for a machine to become fit."""
LEAST_WAIT_S, LONGEST_WAIT_S = 60.0, 600.0
"""Bounds of that wait; a comparison whose share is below the first stops at once, as it is soon made anew."""
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
"""Words of a reason to what to do about it; of several reasons, the most frequent one with advice counts."""
NO_ADVICE = "tickbench doctor says what is known of this machine"


class Unfit(Struct, frozen=True):
    """Why a machine cannot measure."""

    happened: str
    """What was found, and in how many of the runs."""
    advice: str
    """What to do, in the imperative."""


def quiet_wait_s(index: RunIndex) -> float:
    """Return how many seconds the next run waits for idle cores: half as many after each wait in vain."""
    quiet = [runs[0].quiet for runs in reversed(index.made_together)]
    looks = [look is not None and not look.is_quiet for look in quiet]
    in_vain = [*looks, False].index(False)
    return index.suite.quiet_wait_s / 2.0**in_vain


def wait_s(estimate_s: float) -> float:
    """Return how many seconds a comparison of ``estimate_s`` in all may wait for an unfit machine; 0: it stops."""
    bound_s = min(LONGEST_WAIT_S, SHARE_TO_WAIT * estimate_s)
    return bound_s if bound_s >= LEAST_WAIT_S else 0.0


def why_unfit(runs: Sequence[Run]) -> Unfit | None:
    """Return how the machine spoiled some of these runs, which are by number, and what to do; None if it did not."""
    spoiled = [run for run in runs if run.is_spoiled]
    reasons = [reason for run in spoiled for reason in run.by_machine]
    if not reasons:
        return None
    reasons = [reason for reason in reasons if reason != FOR_ANOTHER] or reasons  # the other says what it was
    # The same reason has other numbers in each run: it is told once, with the worst of them.
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


def _advice(reasons: Sequence[str], cpus_server: Sequence[int] | None) -> str:
    server = f"core {cpus_server[0]}" if cpus_server is not None and len(cpus_server) == 1 else "the server's cores"
    words = (advice for reason in reasons for words, advice in ADVICE.items() if words in reason)
    return next(words, NO_ADVICE).format(server=server)
