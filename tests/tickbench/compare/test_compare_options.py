import msgspec
import pytest

from tickbench.compare.suite import load_suite
from tickbench.errors import InputError
from tickbench.report.plan_words import announcement
from tickbench.verbs.compare import with_arms


def test_other_arms_take_the_place_of_the_suites_in_all_its_parts() -> None:
    suite = with_arms(load_suite("default"), ["asyncio", "gevent:mode=thread"])
    assert suite.arms == ["asyncio", "gevent:mode=thread"]
    assert [arm.name for side in suite.sides for arm in suite.arms_of(side)] == suite.arms * len(suite.sides)
    assert (suite.again, suite.compare, suite.verdicts) == ("asyncio", [], [])


def test_verdicts_stay_where_their_arms_do() -> None:
    suite = with_arms(load_suite("default"), ["gevent", "asyncio"])
    assert (suite.again, suite.compare) == ("asyncio", ["asyncio", "gevent"])
    assert len(suite.verdicts) == 5


def test_without_verdicts_none_ends_a_suite_early() -> None:
    may = msgspec.structs.replace(load_suite("default"), may_end_early=True)
    assert with_arms(may, ["gevent", "asyncio"]).may_end_early
    assert not with_arms(may, ["gevent"]).may_end_early


def test_a_malformed_arm_is_refused() -> None:
    with pytest.raises(InputError, match="unknown backend"):
        with_arms(load_suite("quick"), ["twisted"])


def test_what_is_about_to_happen_is_said_with_how_long_it_takes() -> None:
    words = announcement(load_suite("default"), 0)
    assert words.startswith(
        "112 runs: 5 arms x 8 repeats, 300 connections, 4 s measured each, side by side in slots of 2 s, asyncio and "
        "gevent 10 s at once; "
    )
    assert "then searches: arena, rooms; about 28 min, or" in words
    assert announcement(load_suite("quick"), 3).endswith("s; 3 runs are there already")
