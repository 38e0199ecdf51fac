"""
What a suite can find: how often a difference of 5, 10 or 20 % is named, by how much runs of one arm scatter.

``python -m tests.bench.power``: simulates whole suites (blocks, an arm that runs twice, Holm over the verdicts) and
prints the table that is in docs/comparing.md. Every run scatters by itself, log-normally: the worst case, as what the
machine does to a whole block cancels in its ratio.
"""

import argparse
import math

import numpy as np

from tickbench.statistics.verdicts import GUARD_ALPHA, judge

DIFFERENCES = (0.0, 0.05, 0.10, 0.20)
CVS = (0.03, 0.05, 0.08, 0.10, 0.15)
VERDICTS = 5
"""As many as the default suite draws."""


def simulate(
    difference: float, cv: float, *, blocks: int, suites: int, in_all: bool, rng: np.random.Generator
) -> dict[str, float]:
    """
    Return how often the first of five figures gets each verdict, in shares of ``suites``.

    Args:
        difference: of the second arm to the first, in the first figure, or in all.
        cv: coefficient of variation of runs.

    """
    sigma = math.sqrt(math.log(1 + cv**2))
    shift = np.full(VERDICTS, math.log(1 + difference)) if in_all else np.zeros(VERDICTS)
    shift[0] = math.log(1 + difference)
    counts = {"better": 0, "wrong": 0, "equivalent": 0, "inconclusive": 0, "suppressed": 0}
    for _ in range(suites):
        first, again = rng.normal(0, sigma, (2, VERDICTS, blocks))
        other = rng.normal(0, sigma, (VERDICTS, blocks)) + shift[:, None]
        if any(guard.winner for guard in judge((again - first).tolist(), alpha=GUARD_ALPHA)):
            counts["suppressed"] += 1
            continue
        verdict = judge((other - (first + again) / 2).tolist())[0]
        is_wrong = verdict.kind == "better" and (verdict.winner == "other" or not difference)
        counts["wrong" if is_wrong else verdict.kind] += 1
    return {kind: count / suites for kind, count in counts.items()}


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suites", type=int, default=2_000)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    print("| difference | CV of runs | found, in one of five figures | equivalent | found, in all five |")  # noqa: T201
    print("| --- | --- | --- | --- | --- |")  # noqa: T201
    for difference in DIFFERENCES:
        for cv in CVS:
            size = {"blocks": arguments.blocks, "suites": arguments.suites, "rng": rng}
            one = simulate(difference, cv, in_all=False, **size)
            every = simulate(difference, cv, in_all=True, **size)
            words = [f"{100 * share:.1f} %" for share in (one["better"], one["equivalent"], every["better"])]
            wrong = one["wrong"]
            found = words[0] if difference else f"none to find; wrongly {100 * wrong:.1f} %"
            print(f"| {100 * difference:.0f} % | {100 * cv:.0f} % | {found} | {words[1]} | {words[2]} |")  # noqa: T201


if __name__ == "__main__":
    main()
