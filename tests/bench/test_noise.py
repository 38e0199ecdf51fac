"""The bench of noise makes suites that can be compared, and sums up what came of them."""

import argparse
import math
from pathlib import Path

from msgspec.structs import replace

from shared.measure.summary import SlotFigures, read_summary
from tests.bench import noise
from tests.bench.recorded import FIGURES
from tickbench.compare.suite import load_suite

GIVEN = argparse.Namespace(arms=["asyncio"], connections=300, seconds=80.0, memory=1000)
WAYS = [noise.Way("together", 8, 2.0), noise.Way("whole", 8)]


def test_both_ways_measure_the_same_arm_as_long(tmp_path: Path) -> None:
    suites = []
    for way in WAYS:
        file = tmp_path / f"{way.name}.toml"
        file.write_text(noise.suite_text(way, GIVEN, 3), "utf-8")
        suites.append(load_suite(str(file)))
    together, whole = suites
    assert together.together_s == whole.duration_s == 10
    assert together.run_together == ["asyncio"]
    assert not whole.in_slots
    for suite in suites:
        assert (suite.repeats, suite.again, suite.seed, suite.load) == (8, "asyncio", 3, {"memory": 1000})


def test_what_was_stolen_from_slots_that_were_left_out_counts() -> None:
    summary = read_summary((Path(__file__).parents[1] / "tickbench" / "fakes" / "summary.json").read_bytes())
    machine = replace(summary.machine, steal_percent=1.0)
    slots = SlotFigures(slot_s=2, made=5, kept=2, thrown_s=0.4, steal_percent=9.0)
    assert noise.stolen_percent(replace(summary, machine=machine, slots=slots)) == 9.0
    assert noise.stolen_percent(replace(summary, machine=machine, slots=None)) == 1.0
    assert noise.stolen_percent(replace(summary, machine=machine, slots=replace(slots, steal_percent=None))) == 1.0


def test_medians_and_the_widest_of_what_was_little_stolen_from_are_told() -> None:
    def outcome(p99: float, steal_percent: float) -> noise.Outcome:
        return noise.Outcome({FIGURES[1]: p99}, steal_percent, 8, 8)

    new, old = [outcome(0.05, 1), outcome(0.09, 4.9), outcome(0.3, 20)], [outcome(0.2, 1), outcome(0.4, 1)]
    told = noise.lines(new, old)
    assert told[1] == f"{FIGURES[1]}: at once 0.090, in whole runs 0.300, ratio 0.30 (medians)"
    assert told[-1] == f"{FIGURES[1]} at once, of 2 suites with less than 5 % of steal: 0.090 at most"
    assert math.isnan(noise.middle_of([]))
