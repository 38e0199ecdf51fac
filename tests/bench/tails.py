"""
Compare figures of the tail by how much one arm scatters beside itself, and by how far planted arms move them.

``python -m tests.bench.tails results/latest``: of a folder in which an arm ran twice in each block, such as that of
tests/tickbench/recorded/planted.toml, or, with ``--names``, under several names that mean the same (aa-asyncio.toml):
all arms of one backend are the same arm then. Where arms ran at once, these runs count. Each figure is worked out anew
from the runs' histograms, without and with a covariate: what the core probe and the hypervisor said of the same run,
which no arm can influence, is taken out by regression within blocks.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from shared.measure.histogram import Histogram
from shared.measure.summary import LoadSummary
from tests.bench.recorded import PLAIN, PLANTED
from tickbench.compare.results import read_results
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.suite import BLOCKS, TOGETHER

Blocks = dict[tuple[str, int], list[Run]]
"""Valid runs of one arm in one block."""


def mean_of_worst(share: float) -> Callable[[Histogram], float]:
    """Return what makes the mean, in us, of this share of the values, the greatest."""

    def figure(histogram: Histogram) -> float:
        left, total = round(share * histogram.count), 0
        wanted = left
        for value, count in reversed(list(histogram.values())):
            total += value * min(count, left)
            left -= min(count, left)
        return total / wanted

    return figure


def share_over(bound_us: int) -> Callable[[Histogram], float]:
    """Return what makes the share of the values over a bound; with half a value more, as a logarithm is taken."""
    return lambda histogram: (histogram.count - histogram.counts_up_to([bound_us])[0] + 0.5) / histogram.count


def figures_of(histograms: list[Histogram]) -> dict[str, Callable[[Histogram], float]]:
    """Return the figures to compare, by name; the bounds are percentiles of all the runs together."""
    together = Histogram()
    for histogram in histograms:
        together.add(histogram)
    bounds_us = {percentile: together.percentile_us(percentile) for percentile in (90, 95, 99)}
    return {
        "mean": lambda histogram: histogram.mean_us,
        **{f"p{percentile:g}": _percentile(percentile) for percentile in (50, 90, 95, 98, 99, 99.9)},
        **{f"share over {bound_us / 1000:.1f} ms": share_over(bound_us) for bound_us in bounds_us.values()},
        "mean of the worst 5 %": mean_of_worst(0.05),
        "mean of the worst 1 %": mean_of_worst(0.01),
    }


def _percentile(percentile: float) -> Callable[[Histogram], float]:
    return lambda histogram: float(histogram.percentile_us(percentile))


COVARIATES: dict[str, Callable[[LoadSummary], float]] = {
    "steal": lambda load: load.machine.steal_percent or 0.0,
    "core's longest gap": lambda load: max((each.max_gap_ms for each in load.machine.core_gaps), default=0.0),
    "core's p99": lambda load: max((each.lateness_ms.p99 or 0.0 for each in load.machine.core_gaps), default=0.0),
}
"""What is known of a run that no arm can influence."""


def same_arms(index: RunIndex, *, names: bool) -> tuple[Blocks, Blocks]:
    """Return the runs by arm and block, and those of planted arms; with ``names`` all arms of a backend are one."""
    blocks: Blocks = {}
    planted: Blocks = {}
    backends = {arm.name: arm.backend for arm in index.suite.parsed_arms()}
    is_together = index.suite.run_together and index.ticks_met is None
    for run in index.counted(TOGETHER if is_together else BLOCKS):
        if run.is_valid:
            into, arm = (planted, run.arm) if run.arm in PLANTED else (blocks, backends[run.arm] if names else run.arm)
            into.setdefault((arm, run.block), []).append(run)
    return {key: runs for key, runs in blocks.items() if len(runs) > 1}, planted


def scatter(values: list[np.ndarray], covariates: list[np.ndarray] | None = None) -> float:
    """
    Return the standard deviation of the log ratio of an arm to itself.

    Args:
        values: the logarithms of a figure, an array a block.
        covariates: of the same runs; what of the values goes with them within blocks is taken out.

    """
    freedom = sum(len(each) - 1 for each in values)
    inner = np.concatenate([each - each.mean() for each in values])
    if covariates is not None:
        also = np.concatenate([each - each.mean() for each in covariates])
        if also @ also > 0:
            inner = inner - also * (also @ inner) / (also @ also)
            freedom -= 1
    return math.sqrt(2 * float(inner @ inner) / freedom)


def table(blocks: Blocks, planted: Blocks) -> list[list[str]]:
    """Return the table, its head first: how far each figure scatters, and how far planted arms move it."""
    loads = {run.number: run.load for own in [*blocks.values(), *planted.values()] for run in own if run.load}
    histograms = {number: Histogram.from_summary(load.tick_lateness_ms) for number, load in loads.items()}
    arms = sorted({arm for arm, _ in planted})
    covariates = [
        _by_block(blocks, {number: covariate(load) for number, load in loads.items()})
        for covariate in COVARIATES.values()
    ]
    less, moved = [f"less {name}" for name in COVARIATES], [f"{arm} (sd)" for arm in arms]
    rows = [["tick lateness", "A/A, sd (log)", *less, *moved]]
    for name, figure in figures_of(list(histograms.values())).items():
        logs = {number: math.log(figure(histogram)) for number, histogram in histograms.items()}
        values = _by_block(blocks, logs)
        found = [scatter(values), *(scatter(values, each) for each in covariates)]
        moves = [_moved(blocks, planted, arm, logs) for arm in arms]
        row = [name, *(f"{each:.3f}" for each in found)]
        row += [f"{each:+.3f}" + (f" ({each / found[0]:+.1f})" if found[0] else "") for each in moves]
        rows.append(row)
    return rows


def _by_block(blocks: Blocks, values: dict[int, float]) -> list[np.ndarray]:
    return [np.array([values[run.number] for run in own]) for own in blocks.values()]


def _moved(blocks: Blocks, planted: Blocks, arm: str, logs: dict[int, float]) -> float:
    """Return the mean log ratio of a planted arm to the runs of the same block that it was planted on."""
    pairs = [(own, blocks.get((PLAIN, block), [])) for (name, block), own in planted.items() if name == arm]
    means = [[np.mean([logs[run.number] for run in runs]) for runs in pair] for pair in pairs if pair[1]]
    return float(np.mean([ours - theirs for ours, theirs in means]))


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--names", action="store_true", help="all arms of one backend are the same")
    given = parser.parse_args()
    blocks, planted = same_arms(read_results(given.folder).index, names=given.names)
    if not blocks:
        parser.error(f"{given.folder} has no block with two valid runs of an arm")
    head, *rows = table(blocks, planted)
    print(f"| {' | '.join(head)} |\n{'| --- ' * len(head)}|")  # noqa: T201
    for row in rows:
        print(f"| {' | '.join(row)} |")  # noqa: T201


if __name__ == "__main__":
    main()
