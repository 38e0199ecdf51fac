"""Whether a server is fit to be measured: what the checks say that figures rest on."""

from collections.abc import Iterable, Sequence

from tickbench.conformance.check import Check
from tickbench.conformance.verdict import CheckResult, Grade

NEEDED: Grade = "measurement"


def judge_fitness(results: Sequence[CheckResult], checks: Iterable[Check]) -> tuple[bool | None, str | None]:
    """
    Return whether a server is fit to be measured, and if not, why.

    None where that is not known: nothing was wrong, but not all that figures rest on was looked at; ``checks`` are all
    that there are.
    """
    needed = [result for result in results if result.grade == NEEDED]
    wrong = [f"{result.name}: {result.level}" for result in needed if result.level in ("fault", "not tried")]
    if wrong:
        return False, "; ".join(wrong)
    known = [check.name for check in checks if check.grade == NEEDED]
    left_out = set(known) - {result.name for result in needed}
    if left_out:
        return None, f"{len(left_out)} of {len(known)} checks of {NEEDED} were left out"
    return True, None
