"""Users wait as the page does before they try again."""

import re

import pytest

from loadtests.users.pauses import FIRST_S, GROWTH, LONGEST_S, PROVEN_S, Pauses
from tests.loadtests.conftest import ROOT

PAGE = (ROOT / "shared" / "web" / "client.js").read_text("utf-8")


def ms(name: str) -> int:
    (found,) = re.findall(rf"static {name}_MS = (\d+);", PAGE)
    return int(found)


def test_the_times_are_the_page_s() -> None:
    page = ms("FIRST_DELAY"), ms("LONGEST_DELAY"), ms("PROVEN_AFTER")
    assert page == (1000 * FIRST_S, 1000 * LONGEST_S, 1000 * PROVEN_S)
    assert f"Link.FIRST_DELAY_MS * {GROWTH} ** this.failures" in PAGE
    assert "return ceiling * Math.random();" in PAGE, "full jitter"


@pytest.mark.parametrize("luck", [0.0, 0.25, 1.0])
def test_the_ceiling_grows_by_half_up_to_the_longest(luck: float) -> None:
    pauses = Pauses(lambda: luck)
    ceilings = (1, 1.5, 2.25, 3.375, 5.0625, 7.59375, 10, 10)
    assert [pauses.next_s() for _ in ceilings] == [luck * ceiling for ceiling in ceilings]


def test_a_connection_that_held_long_enough_begins_anew() -> None:
    pauses = Pauses(lambda: 1.0)
    assert [pauses.next_s(), pauses.next_s()] == [1, 1.5]
    pauses.held(PROVEN_S)
    assert pauses.next_s() == 2.25
    pauses.held(PROVEN_S + 0.1)
    assert pauses.next_s() == 1
