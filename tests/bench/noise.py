"""
How wide the interval of an arm beside itself is, run at once and one run after the other, for the same measuring time.

``python -m tests.bench.noise FOLDER [--suites 10]`` has ``tickbench compare`` make suites in turns, a block of which
measures an arm and the same arm again: at once, or one after the other in whole runs. FOLDER keeps each; begun anew
with the same FOLDER it goes on, a suite that was broken off included. After each suite it says what there is: of five
figures half the width of the 95 % interval, as a logarithm (0.1 is some 10 % to either side), and how much of the
measured cores was stolen. Nothing else should run meanwhile: with the defaults a suite takes about five minutes.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from shared.measure.summary import LoadSummary
from tests.bench import suites
from tests.bench.recorded import FIGURES
from tickbench.compare.results import read_results
from tickbench.compare.suite import BLOCKS, TOGETHER
from tickbench.report.build import read_document
from tickbench.report.document import Document

SUITE = """
name = "{name}"
arms = [{arms}]
again = "{again}"
scenario = "steady"
connections = {connections}
duration_s = {duration_s}
warm_up_s = 2.5
repeats = {repeats}
seed = {seed}
slot_s = {slot_s}
together_s = {together_s}
memory_blocks = 3
stop_after = 0
{memory}
[server]
tick-rate = 20
speed = 20
bots = 10
seed = 20
tick-budget = 0
"""
LITTLE_STEAL_PERCENT = 5


class Way(NamedTuple):
    """How suites are made; all ways have the same number of measured seconds, of each run."""

    name: str
    blocks: int
    slot_s: float = 0.0
    """Of arms that run at once; 0: whole runs, one after the other."""


class Outcome(NamedTuple):
    """What came of one suite."""

    half_widths: dict[str, float]
    """By figure; one without an interval is left out."""
    steal_percent: float
    """Of the core that had most of it, on average over its runs, slots that were left out included."""
    valid: int
    runs: int


def suite_text(way: Way, given: argparse.Namespace, number: int) -> str:
    """Return the suite as TOML; suites of a number have the same seed, whichever way they are made."""
    seconds = given.seconds / way.blocks
    return SUITE.format(
        name=way.name,
        arms=", ".join(f'"{arm}"' for arm in given.arms),
        again=given.arms[0],
        connections=given.connections,
        duration_s=way.slot_s or seconds,  # each alone has one slot, which only memory needs
        together_s=seconds if way.slot_s else 0.0,
        repeats=way.blocks,
        seed=number,
        slot_s=way.slot_s,
        memory=f"[load]\nmemory = {given.memory}" if given.memory else "",
    )


def outcome_of(folder: Path) -> Outcome:
    """Read what came of a suite that is complete."""
    latest = folder / "latest"
    index, document = read_results(latest).index, read_document(latest)
    part = TOGETHER if document.is_together else BLOCKS
    steal = [stolen_percent(run.load) for run in index.runs if run.part == part and run.load is not None]
    marks = [run.mark for run in document.runs if run.part == part]
    return Outcome(half_widths_of(document), statistics.fmean(steal or [0.0]), marks.count("valid"), len(marks))


def stolen_percent(load: LoadSummary) -> float:
    """Return the steal of a run: in slots that of all that were made, as the kept ones are those with little of it."""
    slots = load.slots
    known = slots.steal_percent if slots is not None and slots.steal_percent is not None else load.machine.steal_percent
    return known or 0.0


def half_widths_of(document: Document) -> dict[str, float]:
    """Return half the logarithm of the upper end to the lower, of each figure of the arm that ran twice."""
    return {
        each.figure: math.log(each.ratio.high / each.ratio.low) / 2
        for each in document.comparisons.floor
        if each.figure in FIGURES and each.ratio is not None and each.ratio.low and each.ratio.high
    }


def lines(new: Sequence[Outcome], old: Sequence[Outcome]) -> list[str]:
    """Return in words how the two ways compare."""
    told = []
    for figure in FIGURES:
        middles = [
            middle_of([each.half_widths[figure] for each in of if figure in each.half_widths]) for of in (new, old)
        ]
        ratio = middles[0] / middles[1] if all(middles) else math.nan
        told.append(f"{figure}: at once {middles[0]:.3f}, in whole runs {middles[1]:.3f}, ratio {ratio:.2f} (medians)")
    calm = [each for each in new if each.steal_percent < LITTLE_STEAL_PERCENT]
    widest = max((each.half_widths.get(FIGURES[1], math.nan) for each in calm), default=math.nan)
    little = f"{len(calm)} suites with less than {LITTLE_STEAL_PERCENT} % of steal"
    told.append(f"{FIGURES[1]} at once, of {little}: {widest:.3f} at most")
    return told


def middle_of(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--suites", type=int, default=10, help="of each way")
    parser.add_argument("--seconds", type=float, default=80, help="measured of each run of a suite, in all blocks")
    parser.add_argument("--blocks", type=int, default=8, help="of a suite")
    parser.add_argument("--slot", type=float, default=2, metavar="SECONDS", help="of arms that run at once")
    parser.add_argument("--arms", nargs="+", default=["asyncio"], help="the first one runs twice")
    parser.add_argument("--connections", type=int, default=300)
    parser.add_argument("--memory", type=int, default=1000, help="connections to weigh, in three blocks; 0: none")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    ways = [Way("together", given.blocks, given.slot), Way("whole", given.blocks)]
    outcomes: dict[str, list[Outcome]] = {way.name: [] for way in ways}
    for number in range(1, given.suites + 1):
        for way in ways if number % 2 else reversed(ways):
            name = f"{way.name}-{number:02}"
            if not suites.make(given.folder, name, suite_text(way, given, number)):
                sys.exit(f"{way.name} {number} is not complete; begin anew with {given.folder}, and it goes on")
            outcomes[way.name].append(it := outcome_of(given.folder / name))
            widths = ", ".join(f"{figure} {width:.3f}" for figure, width in it.half_widths.items())
            words = f"{way.name} {number}: steal {it.steal_percent:.1f} %, {it.valid} of {it.runs} runs valid; {widths}"
            sys.stdout.write(f"{words}\n")
            sys.stdout.flush()
        sys.stdout.write("\n".join([*lines(outcomes["together"], outcomes["whole"]), ""]) + "\n")


if __name__ == "__main__":
    main()
