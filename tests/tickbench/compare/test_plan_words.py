"""What is said before a comparison runs: what is compared with what, at which level, at once with whom, how long."""

import re
from pathlib import Path

import pytest

from tests.tickbench.conftest import run_tickbench
from tickbench.compare.plan import estimate_s
from tickbench.compare.runs import RunIndex
from tickbench.compare.suite import load_suite
from tickbench.report.plan_words import plan_lines
from tickbench.statistics.forecast import least_difference
from tickbench.verbs.compare import with_arms


def test_the_suite_of_frameworks_says_its_pairs_its_level_and_its_groups() -> None:
    suite = load_suite("frameworks")
    lines = list(plan_lines(suite))
    others = len(suite.arms) - 1
    asked = others * len(suite.verdicts)
    assert lines[0].startswith(f"compared: each of {others} other arms with asyncio, in tick lateness p50,")
    assert f"{asked} verdicts, all together held to 5 % (Holm), the clearest to {5 / asked:.2g} %" in lines[0]
    groups = [line for line in lines if line.startswith("at once, group")]
    assert len(groups) == len(suite.groups) > 1
    assert {re.split(", | and ", line.partition(": ")[2])[0] for line in groups} == {"asyncio"}
    (alone,) = [line for line in lines if line.startswith("alone only: ")]
    assert alone.count("fanout=naive") == len([arm for arm in suite.arms if "fanout=naive" in arm])
    assert re.search(r"^in all .*: 6 blocks of \d+ min each; stall \d+ min; storm \d+ min; search arena", lines[-1])


def test_it_takes_about_an_hour() -> None:
    """It is to be run in a break, not in a night."""
    assert estimate_s(RunIndex(load_suite("frameworks"))) < 90 * 60


def test_each_framework_is_there_as_documented_and_tuned() -> None:
    suite = load_suite("frameworks")
    settings = [(arm.backend, dict(arm.settings)) for arm in suite.parsed_arms()]
    tuned = {(backend, own.get("framework")) for backend, own in settings if "fanout" not in own}
    documented = {(backend, own.get("framework")) for backend, own in settings if own.get("fanout") == "naive"}
    assert tuned == documented
    assert len(tuned) * 2 == len(settings)


def test_with_fewer_arms_those_that_stay_are_compared() -> None:
    suite = with_arms(load_suite("frameworks"), ["asyncio", "gevent", "asyncio:framework=picows"])
    assert suite.compare == ["asyncio", "asyncio:framework=picows", "gevent"]
    assert suite.groups == [["asyncio", "gevent", "asyncio:framework=picows"]]
    assert with_arms(load_suite("frameworks"), ["gevent", "asyncio:framework=picows"]).compare == []


def test_what_can_be_found_is_less_with_more_blocks_and_none_with_too_few() -> None:
    found = [least_difference(blocks, 0.001, 0.03) for blocks in (3, 6, 12)]
    assert found == sorted(found, reverse=True)
    assert 1.05 < found[1] < 1.2
    assert least_difference(2, 0.05, 0.03) == float("inf")


@pytest.mark.parametrize("more", [[], ["--arm", "asyncio", "--arm", "gevent"]])
def test_a_plan_runs_nothing_and_writes_nothing(tmp_path: Path, more: list[str]) -> None:
    told = run_tickbench("compare", "--suite", "frameworks", "--plan", "--out", tmp_path / "out", *more)
    assert (told.returncode, told.stderr) == (0, "")
    assert "compared: " in told.stdout
    assert not (tmp_path / "out").exists()


def test_a_plan_is_of_a_comparison_that_is_not_begun(finished: Path) -> None:
    told = run_tickbench("compare", "--resume", finished, "--plan")
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1
