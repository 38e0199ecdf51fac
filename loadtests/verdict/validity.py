"""Judges whether the numbers of a run can be trusted, and says in words why not."""

from loadtests.verdict.checks import BEYOND_THE_MACHINE, REASONS, THE_MIDDLE, WARNINGS, RunCheck
from loadtests.verdict.findings import LIMITS, Findings, ValidityLimits
from shared.measure.summary import Validity


def judge(findings: Findings, limits: ValidityLimits = LIMITS) -> Validity:
    """Return the verdict on a run."""
    reasons = {check: words for check in REASONS if (words := check.objection(findings, limits))}
    warnings = [words for check in WARNINGS if (words := check.objection(findings, limits))]
    is_beyond = _is_beyond_the_machine(findings, limits)

    def spared_by(check: RunCheck) -> tuple[str, ...]:
        beyond = BEYOND_THE_MACHINE if check.effect.takes_time and is_beyond else ()
        middle = THE_MIDDLE if check.effect.is_gap and findings.gapped_percent <= limits.gapped_percent else ()
        return (*check.effect.spares, *beyond, *middle)

    return Validity.of(
        list(reasons.values()),
        warnings,
        machine=[words for check, words in reasons.items() if check.effect.at_fault == "machine"],
        generator=[words for check, words in reasons.items() if check.effect.at_fault == "generator"],
        spared={words: spared_by(check) for check, words in reasons.items()},
    )


def _is_beyond_the_machine(found: Findings, limits: ValidityLimits) -> bool:
    """Return whether far more ticks did not come than whoever took time from the server can account for."""
    if found.taken_percent is None:
        return False
    return found.not_come_percent > limits.beyond_times * found.taken_percent + limits.beyond_percent
