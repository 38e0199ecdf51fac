"""
What a suite can find, and how often it errs: the tables of docs/comparing.md, simulated.

``python -m tests.bench.power PART``; parts are

- ``differences``: how often a difference of 5, 10 or 20 % is named, by how much runs of one arm scatter;
- ``blocks``: how many blocks of how long within the same time are best;
- ``looks``: what a suite that may end after half of its blocks saves, and what that costs;
- ``shares``: how often unequal shares of spoiled slots are found;
- ``forecast``: whether as many more blocks as are said decide what is inconclusive.

Every run scatters by itself, log-normally: the worst case, as what the machine does to a whole block cancels in its
ratio. Whole suites are judged, with an arm that runs twice and Holm over the verdicts.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.special import stdtrit

from tickbench.compare.excluded import SHARES_ALPHA
from tickbench.compare.suite import load_suite
from tickbench.statistics.forecast import what_would_decide
from tickbench.statistics.looks import Spending, all_at_once, at_end, at_look
from tickbench.statistics.verdicts import ALPHA, GUARD_ALPHA, MARGIN, Verdict, judge, paired_ratio

DIFFERENCES = (0.0, 0.05, 0.10, 0.20)
CVS = (0.03, 0.05, 0.08, 0.10, 0.15)
VERDICTS = 5
"""As many as the default suite draws."""
SCATTER = {
    "tick lateness p50": (0.05, 0.02),
    "tick lateness p99": (0.05, 0.165),
    "interval error p99": (0.05, 0.295),
    "server CPU a frame": (0.028, 0.01),
    "memory a connection": (0.01, 0.0),
}
"""
Of runs (log) of arms alone, as it was seen: what only a fresh process averages, and what is left of the rest in 10 s of
slots. An arm beside itself scatters by both, times the root of two.
"""
RECORDED = Path(__file__).parents[1] / "tickbench" / "recorded" / "aa.json"

Row = Sequence[object]


def drawn(
    cvs: Sequence[float], shifts: Sequence[float], blocks: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return one suite: log ratios of other to first, and of the arm that runs twice to itself (figures x blocks)."""
    sigmas = np.sqrt(np.log(1 + np.square(cvs)))[:, None]
    first, again, other = rng.normal(0, 1, (3, len(cvs), blocks)) * sigmas
    return other - (first + again) / 2 + np.array(shifts)[:, None], again - first


def judged(logs: np.ndarray, itself: np.ndarray, spending: Spending = all_at_once) -> list[Verdict] | None:
    """Return the verdicts, None where the arm that runs twice differs from itself."""
    if any(guard.winner for guard in judge(known(itself), alpha=GUARD_ALPHA)):
        return None
    return judge(known(logs), spending=spending)


def as_recorded() -> list[float]:
    """Return by how much runs of arms at once scatter (log) in each of the five figures, as it was recorded."""
    record = json.loads(RECORDED.read_text("utf-8"))
    logs = np.log(np.array([each["runs"] for each in record["triples"]], dtype=float))  # triples x runs x figures
    scatters: list[float] = np.sqrt(np.nanmean(np.var(logs, axis=1, ddof=1), axis=0)).tolist()
    return scatters


def known(logs: np.ndarray) -> list[list[float]]:
    """Return of each figure those of the blocks that have it; NaN: it was not measured."""
    return [row[~np.isnan(row)].tolist() for row in logs]


def simulate(
    difference: float, cv: float, *, blocks: int, suites: int, in_all: bool, rng: np.random.Generator
) -> dict[str, float]:
    """
    Return how often the first of five figures gets each verdict, in shares of ``suites``.

    Args:
        difference: of the second arm to the first, in the first figure, or in all.
        cv: coefficient of variation of runs.

    """
    shift = math.log(1 + difference)
    shifts = [shift] + [shift if in_all else 0.0] * (VERDICTS - 1)
    counts = {"better": 0, "wrong": 0, "equivalent": 0, "inconclusive": 0, "suppressed": 0}
    for _ in range(suites):
        verdicts = judged(*drawn([cv] * VERDICTS, shifts, blocks, rng))
        if verdicts is None:
            counts["suppressed"] += 1
            continue
        is_wrong = verdicts[0].kind == "better" and (verdicts[0].winner == "other" or not difference)
        counts["wrong" if is_wrong else verdicts[0].kind] += 1
    return {kind: count / suites for kind, count in counts.items()}


def judged_by_looks(logs: np.ndarray, itself: np.ndarray) -> tuple[list[Verdict] | None, bool]:
    """Return the verdicts of a suite that may end after half of its blocks, and whether it did."""
    blocks = logs.shape[1]
    half = (blocks + 1) // 2
    verdicts = judged(logs[:, :half], itself[:, :half], at_look(half / blocks))
    if verdicts is not None and all(each.kind != "inconclusive" for each in verdicts):
        return verdicts, True
    return judged(logs, itself, at_end(half / blocks)), False


def simulate_looks(
    difference: float,
    cvs: Sequence[float],
    *,
    blocks: int,
    suites: int,
    rng: np.random.Generator,
    in_all: bool = False,
    may_end_early: bool = True,
) -> dict[str, float]:
    """Return the same of suites that look at half: of the first figure, any false winner, all decided, ended early."""
    shift = math.log(1 + difference)
    shifts = [shift] + [shift if in_all else 0.0] * (len(cvs) - 1)
    right = ["first" if shifted else None for shifted in shifts]
    counts = {"found": 0, "false": 0, "ended": 0, "decided": 0}
    for _ in range(suites):
        drawn_logs = drawn(cvs, shifts, blocks, rng)
        verdicts, ended = judged_by_looks(*drawn_logs) if may_end_early else (judged(*drawn_logs), False)
        counts["ended"] += ended
        if verdicts is not None:
            counts["found"] += verdicts[0].winner == "first"
            counts["false"] += any(
                each.winner not in {None, winner} for each, winner in zip(verdicts, right, strict=True)
            )
            counts["decided"] += all(each.kind != "inconclusive" for each in verdicts)
    return {kind: count / suites for kind, count in counts.items()}


def simulate_shares(
    factor: float, share: float, *, blocks: int, suites: int, rng: np.random.Generator, kept: int = 5
) -> float:
    """
    Return how often unequal shares are found where the second arm's slots are spoiled so many times as often.

    Args:
        factor: see above; 1: no difference, each find is wrong.
        share: of the first arm's slots that are spoiled, on average over blocks, which scatter as much as that (gamma);
            each run besides by half as much.
        kept: slots that a run is to have in the end; at most twice as many are made.

    """
    found = 0
    for _ in range(suites):
        of_block = share * rng.gamma(1, 1, blocks)

        def excluded(times: float, of_block: np.ndarray = of_block) -> np.ndarray:
            chance = np.clip(times * of_block * rng.gamma(4, 1 / 4, blocks), 0, 0.8)
            spoiled = np.minimum(rng.negative_binomial(kept, 1 - chance), kept)
            shares: np.ndarray = spoiled / (kept + spoiled)
            return shares

        ratio = paired_ratio((excluded(factor) - (excluded(1) + excluded(1)) / 2).tolist())
        found += ratio is not None and ratio.p_value is not None and ratio.p_value <= SHARES_ALPHA
    return found / suites


def simulate_forecast(scatter: float, *, blocks: int, suites: int, rng: np.random.Generator) -> dict[str, float]:
    """
    Return of comparisons that were inconclusive the share that is told how many blocks more, and of those the median
    number and the share that they decide.

    The arms differ by a normal log ratio, whose scatter is the margin.

    """
    level, told, decided, inconclusive = ALPHA / 4, [], 0, 0
    while inconclusive < suites:
        truth = rng.normal(0, math.log(MARGIN))
        logs = rng.normal(truth, scatter, blocks).tolist()
        if judge([logs], alpha=level)[0].kind != "inconclusive":
            continue
        inconclusive += 1
        forecast = what_would_decide(logs, level)
        if forecast is not None and forecast.more_blocks is not None:
            told.append(forecast.more_blocks)
            logs = rng.normal(truth, scatter, blocks + forecast.more_blocks).tolist()
            decided += judge([logs], alpha=level)[0].kind != "inconclusive"
    shares = {"told": len(told) / suites, "decided": decided / max(1, len(told))}
    return shares | {"blocks": float(np.median(told)) if told else math.nan}


def difference_rows(suites: int, blocks: int, rng: np.random.Generator) -> Iterator[Row]:
    """Yield the table of ``differences``."""
    yield "difference", "CV of runs", "found, in one of five figures", "equivalent", "found, in all five"
    for difference in DIFFERENCES:
        for cv in CVS:
            one = simulate(difference, cv, blocks=blocks, suites=suites, in_all=False, rng=rng)
            every = simulate(difference, cv, blocks=blocks, suites=suites, in_all=True, rng=rng)
            found = percent(one["better"]) if difference else f"none to find; wrongly {percent(one['wrong'])}"
            yield (
                f"{100 * difference:.0f} %",
                f"{100 * cv:.0f} %",
                found,
                percent(one["equivalent"]),
                percent(every["better"]),
            )


def block_rows(
    suites: int, rng: np.random.Generator, *, minutes: float, start_s: float, arms: int, slot_s: float, thrown_s: float
) -> Iterator[Row]:
    """Yield the table of ``blocks``: all blocks together take ``minutes``, each with ``start_s`` besides slots."""
    yield "blocks", "seconds an arm", "half-width (log): p99", "p50", "CPU", "p99: 20 % found", "p50: equivalent"
    for blocks in (6, 8, 10, 12, 16, 20, 24):
        seconds = (60 * minutes / blocks - start_s) / arms * slot_s / (slot_s + thrown_s)
        if seconds < slot_s:
            return
        parts = [SCATTER[name] for name in ("tick lateness p99", "tick lateness p50", "server CPU a frame")]
        scatters = [math.hypot(process, rest * math.sqrt(10 / seconds)) for process, rest in parts]
        of_t = float(stdtrit(blocks - 1, 1 - ALPHA / 2)) / math.sqrt(blocks)
        halves = [f"{of_t * math.sqrt(1.5) * scatter:.3f}" for scatter in scatters]
        found = simulate(0.20, scatters[0], blocks=blocks, suites=suites, in_all=False, rng=rng)["better"]
        equivalent = simulate(0.0, scatters[1], blocks=blocks, suites=suites, in_all=False, rng=rng)["equivalent"]
        yield blocks, f"{seconds:.1f}", *halves, percent(found), percent(equivalent)


def look_rows(suites: int, blocks: int, rng: np.random.Generator) -> Iterator[Row]:
    """Yield the table of ``looks``."""
    yield (
        "runs scatter by",
        "difference, in",
        "any false winner",
        "found (without a look)",
        "all decided",
        "ended early",
        ("blocks made"),
    )
    kinds = [*((f"{100 * cv:.0f} %", [cv] * VERDICTS) for cv in (0.01, 0.02, 0.03, 0.05)), ("as seen", as_recorded())]
    for words, cvs in kinds:
        for difference, in_all in ((0.0, False), (0.10, False), (0.20, False), (0.20, True)):
            found, without = (
                simulate_looks(
                    difference,
                    cvs,
                    blocks=blocks,
                    suites=suites,
                    rng=rng,
                    in_all=in_all,
                    may_end_early=may_end_early,
                )
                for may_end_early in (True, False)
            )
            where = f"{100 * difference:.0f} %, {'all' if in_all else 'one'}" if difference else "none"
            finds = f"{percent(found['found'])} ({percent(without['found'])})" if difference else "-"
            made = blocks - found["ended"] * (blocks // 2)
            yield (
                words,
                where,
                percent(found["false"]),
                finds,
                percent(found["decided"]),
                percent(found["ended"]),
                f"{made:.1f}",
            )


def share_rows(suites: int, blocks: int, rng: np.random.Generator) -> Iterator[Row]:
    """Yield the table of ``shares``."""
    factors = (1.0, 1.5, 2.0, 3.0)
    yield "excluded of the first arm", "wrongly found", *(f"found, {factor:g} times as many" for factor in factors[1:])
    for share in (0.02, 0.05, 0.10, 0.20):
        found = [simulate_shares(factor, share, blocks=blocks, suites=suites, rng=rng) for factor in factors]
        yield f"{100 * share:.0f} %", *map(percent, found)


def forecast_rows(suites: int, blocks: int, rng: np.random.Generator) -> Iterator[Row]:
    """Yield the table of ``forecast``."""
    yield "blocks scatter by", "of the inconclusive, told a number", "of blocks, median", "decided by them"
    for scatter in (0.05, 0.08, 0.12, 0.20, 0.30):
        found = simulate_forecast(scatter, blocks=blocks, suites=suites, rng=rng)
        yield f"{100 * scatter:.0f} %", percent(found["told"]), f"{found['blocks']:.0f}", percent(found["decided"])


def percent(share: float) -> str:
    """Return a share in words."""
    return f"{100 * share:.1f} %"


def main() -> None:
    """Print one table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["differences", "blocks", "looks", "shares", "forecast"])
    parser.add_argument("--suites", type=int, default=2_000, help="how many are simulated a line")
    parser.add_argument("--blocks", type=int, default=load_suite("default").repeats)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=27, help="blocks: what they all take together")
    parser.add_argument("--start", type=float, default=28, help="blocks: seconds that one takes besides its slots")
    parser.add_argument(
        "--arms", type=int, default=6, help="blocks: in turns, with the one that runs twice; 1: at once"
    )
    parser.add_argument("--slot", type=float, default=2, help="blocks: seconds of one slot")
    parser.add_argument("--thrown", type=float, default=0.95, help="blocks: seconds before it that count for nothing")
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    rows = {
        "differences": lambda: difference_rows(given.suites, given.blocks, rng),
        "blocks": lambda: block_rows(
            given.suites,
            rng,
            minutes=given.minutes,
            start_s=given.start,
            arms=given.arms,
            slot_s=given.slot,
            thrown_s=given.thrown,
        ),
        "looks": lambda: look_rows(given.suites, given.blocks, rng),
        "shares": lambda: share_rows(given.suites, given.blocks, rng),
        "forecast": lambda: forecast_rows(given.suites, given.blocks, rng),
    }[given.part]()
    head = next(rows)
    print(f"| {' | '.join(map(str, head))} |")  # noqa: T201
    print(f"{'| --- ' * len(head)}|")  # noqa: T201
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
