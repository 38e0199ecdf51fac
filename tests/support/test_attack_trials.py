"""What breaks a promise is called broken, by figures that were drawn up; and cores are shared out as measuring asks."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench.attack import Journal, Row
from tests.support.attacks.apart import apart, shared_out, taken_ms
from tests.support.attacks.bystanders import Figures, Refusal
from tests.support.attacks.kinds import ATTACKS
from tests.support.attacks.trial import Outcome, disturbed, judge, quiet_run

QUIET = Figures(silence_ms=52.0, skipped=1, newcomers_ms=[20.0])
ATTACK_S = 10.0


def faults_of(name: str = "flood", **during: Any) -> list[str]:
    return disturbed(ATTACKS[name], QUIET, replace(QUIET, **during), ATTACK_S)


def test_what_is_within_the_bounds_is_held() -> None:
    assert faults_of(silence_ms=152.0, skipped=4, newcomers_ms=[1000.0]) == []


@pytest.mark.parametrize(
    ("during", "fault"),
    [
        ({"silence_ms": 152.1}, "silence"),
        ({"skipped": 5}, "skipped"),
        ({"closed": ["close 1008"]}, "closed"),
        ({"newcomers_ms": [20.0, 1000.1]}, "newcomer"),
        ({"newcomers_ms": []}, "newcomer"),
        ({"refusals": [Refusal(7.0, "status 503", 1.0)]}, "newcomer"),
    ],
)
def test_each_promise_that_is_broken_meanwhile_is_told(during: dict[str, Any], fault: str) -> None:
    (told,) = faults_of(**during)
    assert told.startswith(fault)


def test_a_crowd_that_gives_its_name_may_keep_newcomers_out_at_once_and_not_before() -> None:
    struck_s = ATTACKS["crowd-again"].strike * ATTACK_S
    for how in ("status 503", "close 1013"):
        assert faults_of("crowd-again", newcomers_ms=[], refusals=[Refusal(struck_s, how, 1000.0)]) == []
    for refusal in (
        Refusal(struck_s - 0.1, "status 503", 1.0),
        Refusal(struck_s, "status 503", 1000.1),
        Refusal(struck_s, "close 1008", 1.0),
    ):
        (told,) = faults_of("crowd-again", refusals=[refusal])
        assert told.startswith("newcomer: 1 refused")


@pytest.mark.parametrize(
    ("left", "fault"),
    [
        ({"after": replace(QUIET, closed=["close 1013"])}, "closed after it"),
        ({"after": replace(QUIET, newcomers_ms=[1000.1])}, "newcomer after it"),
        ({"after": replace(QUIET, refusals=[Refusal(0.0, "status 503", 1.0)])}, "newcomer after it: 1 refused"),
        ({"more_mb": 20.1}, "memory"),
        ({"more_fds": 3}, "descriptors"),
    ],
)
def test_each_promise_that_is_broken_afterwards_is_told(left: dict[str, Any], fault: str) -> None:
    outcome = Outcome("crowd", **{"after": QUIET, **left})
    judge(outcome)
    (told,) = outcome.faults
    assert told.startswith(fault)


def test_memory_that_stays_is_no_fault_where_the_documents_say_that_it_does() -> None:
    outcome = Outcome("crowd-again", after=QUIET, more_mb=100.0)
    judge(outcome, leaves_memory=True)
    assert outcome.faults == []


def test_a_quiet_run_is_made_again_while_it_is_not_quiet() -> None:
    stretches = [Figures(silence_ms=ms) for ms in (0.0, 400.0, 60.0, 50.0)]

    class Drawn:
        def figures(self) -> Figures:
            return stretches.pop(0)

    assert quiet_run(Drawn(), 0.0).silence_ms == 60.0  # type: ignore[arg-type] # so far as it is asked


def test_tests_side_by_side_have_a_core_each_for_their_server() -> None:
    assert [shared_out({2, 3, 7}, number) for number in (0, 1, 3)] == [
        ({2}, {3, 7}),
        ({3}, {2, 7}),
        ({2}, {3, 7}),
    ]
    assert shared_out({2}, 1) == ({2}, {2})


def test_cores_are_given_back_and_waiting_for_one_is_counted() -> None:
    usable = os.sched_getaffinity(0)
    with apart([]):
        assert len(os.sched_getaffinity(0)) == max(1, len(usable) - 1)
    assert os.sched_getaffinity(0) == usable
    before_ms = taken_ms([os.getpid()])
    time.sleep(0.001)
    assert taken_ms([os.getpid()]) >= before_ms


def test_a_journal_goes_on_where_it_was_cut_off_and_takes_nothing_made_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    row = Row("asyncio", "flood", [Outcome("flood", after=QUIET, faults=["silence: 200 ms"]), Outcome("flood")])
    Journal(path, commit="a", seconds=10.0).keep(row)
    with path.open("a") as file:
        file.write('{"arm": "asyn')
    Journal(path, commit="a", seconds=10.0).keep(replace(row, attack="crowd"))
    kept = Journal(path, commit="a", seconds=10.0)
    assert kept.row("asyncio", "crowd")
    assert kept.row("asyncio", "flood") == row
    assert kept.row("gevent", "flood") is None
    assert Journal(path, commit="b", seconds=10.0).row("asyncio", "flood") is None
    assert Journal(path, commit="a", seconds=5.0).row("asyncio", "flood") is None
