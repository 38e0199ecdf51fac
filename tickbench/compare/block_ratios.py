"""The figures of the blocks, and ratio and difference of two arms in each: of what counts, and can be trusted."""

from collections.abc import Sequence
from statistics import fmean

from tickbench.compare.figures import BY_KEY, UNNOTICED
from tickbench.compare.runs import RunIndex
from tickbench.compare.slo import read_figure
from tickbench.statistics.verdicts import Absolute, log_ratios


def logs_of(index: RunIndex, figure: str, first: str, other: str) -> dict[int, float]:
    """Return the logarithm of other to first of each block that has both, by the block's number."""
    return logs_by_block(_values(index, figure, first, other), _values(index, figure, other, first))


def logs_with_itself(index: RunIndex, figure: str, arm: str) -> dict[int, float]:
    """Return the same of the second run to the first of an arm that runs twice in each block."""
    return logs_by_block(_values(index, figure, arm, arm, [False]), _values(index, figure, arm, arm, [True]))


def absolutes_of(index: RunIndex, figure: str, first: str, other: str) -> Absolute | None:
    """Return what the two arms differ by in each block that has both, None where any difference counts."""
    is_of_ticks = figure in BY_KEY and BY_KEY[figure].of_ticks
    own = index.runs_for_ratio(figure, first, other)
    rates_hz = [run.load.tick_rate_hz for run in own if run.load is not None and run.load.tick_rate_hz]
    if not is_of_ticks or not rates_hz:
        return None
    values = zip(_values(index, figure, first, other), _values(index, figure, other, first), strict=True)
    negligible_ms = UNNOTICED * 1000 / max(rates_hz)
    return Absolute(
        [fmean(theirs) - fmean(ours) for ours, theirs in values if ours and theirs],
        negligible_ms,
        f"{negligible_ms:.3g} ms",
    )


def logs_by_block(first: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> dict[int, float]:
    """Return the same of values that are there block by block, none where a block has none."""
    pairs = enumerate(zip(first, other, strict=True), start=1)
    return {block: log for block, (ours, theirs) in pairs for log in log_ratios([ours], [theirs])}


def _values(
    index: RunIndex, figure: str, arm: str, other: str, which: Sequence[bool] = (False, True)
) -> list[list[float]]:
    """Return for each block the values to be trusted, of both runs where an arm ran twice, unless one is chosen."""
    blocks: list[list[float]] = [[] for _ in range(index.suite.repeats)]
    for run in (run for again in which for run in index.runs_for_ratio(figure, arm, other, again=again)):
        value = None if run.load is None or not run.is_trusted(figure) else read_figure(run.load, figure)
        if value is not None and run.block <= len(blocks):
            blocks[run.block - 1].append(value)
    return blocks
