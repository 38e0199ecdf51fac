"""The bench of compression makes suites that can be compared, with each ratio to the arm that compresses nothing."""

import argparse
from pathlib import Path

import pytest

from tests.bench import deflate
from tickbench.compare.suite import load_suite

GIVEN = argparse.Namespace(connections=300, blocks=6)


@pytest.mark.parametrize("way", deflate.WAYS, ids=lambda way: way.name)
def test_suites_can_be_compared_and_two_run_at_once_where_they_should(way: deflate.Way, tmp_path: Path) -> None:
    file = tmp_path / f"{way.name}.toml"
    file.write_text(deflate.suite_text(way, GIVEN), "utf-8")
    suite = load_suite(str(file))
    assert suite.arms == list(way.arms)
    assert suite.run_together == (list(way.arms[:2]) if way.together else [])
    assert suite.load["deflate"] == way.offers
    assert suite.in_slots


def test_each_arm_is_compared_with_the_one_of_its_stack_that_compresses_nothing() -> None:
    nothing, asyncio, uvloop, gevent, rooms = deflate.WAYS
    assert [deflate.off_of(arm, nothing) for arm in nothing.arms] == [None] * 5
    assert [deflate.off_of(arm, asyncio) for arm in asyncio.arms] == [None, *["asyncio:deflate=off"] * 3]
    assert [deflate.off_of(arm, uvloop) for arm in uvloop.arms] == [None, *["asyncio:loop=uvloop,deflate=off"] * 2]
    assert [deflate.off_of(arm, gevent) for arm in gevent.arms] == [None, *["gevent:deflate=off"] * 2]
    assert [deflate.off_of(arm, rooms) for arm in rooms.arms] == [
        None,
        "asyncio:deflate=off",
        None,
        "gevent:deflate=off",
    ]
