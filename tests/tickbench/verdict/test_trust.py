from collections.abc import Callable

import pytest

from shared.measure.quota import Quota
from tickbench.compare.results import ChildRecord, Run
from tickbench.machine.diagnosis import examine_machine
from tickbench.machine.quiet import Quiet
from tickbench.verdict import trust as checks
from tickbench.verdict.trust import MachineCheck

PYTHON = (3, 13, 1)


@pytest.mark.parametrize(
    ("check", "level"),
    [
        (checks.judge_cores(2), "ok"),
        (checks.judge_cores(1), "fail"),
        (checks.judge_quotas([], 2), "ok"),
        (checks.judge_quotas([Quota("/a", 0.5)], 2), "fail"),
        (checks.judge_quotas([Quota("/a", 8.0), Quota("/", 1.5, 3, 900)], 8), "fail"),
        (checks.judge_quotas([Quota("/a", 2.0)], 4), "warn"),
        (checks.judge_quotas([Quota("/a", 4.0)], 4), "ok"),
        (checks.judge_quotas([Quota("/a", 4.0, 1, 900)], 4), "warn"),
        (checks.judge_quotas([Quota("/a", None, 1, 900)], 4), "ok"),
        (checks.judge_descriptors(1_048_576), "ok"),
        (checks.judge_descriptors(4_096), "warn"),
        (checks.judge_descriptors(256), "fail"),
        (checks.judge_clock_source("tsc"), "ok"),
        (checks.judge_clock_source("hpet"), "warn"),
        (checks.judge_clock_source(None), "warn"),
        (checks.judge_steal(0.2), "ok"),
        (checks.judge_steal(3), "warn"),
        (checks.judge_steal(9), "fail"),
        (checks.judge_governors({None}), "ok"),
        (checks.judge_governors({"performance"}), "ok"),
        (checks.judge_governors({"performance", "powersave"}), "warn"),
        (checks.judge_load(0.3, 2), "ok"),
        (checks.judge_load(3, 2), "warn"),
        (checks.judge_ports(28_232), "ok"),
        (checks.judge_ports(1_000), "warn"),
        (checks.judge_ports(None), "warn"),
        (checks.judge_timestamps(available=True), "ok"),
        (checks.judge_timestamps(available=False), "warn"),
        (checks.judge_python(PYTHON, "CPython", is_debug_build=False, has_gil=True), "ok"),
        (checks.judge_python(PYTHON, "CPython", is_debug_build=True, has_gil=True), "warn"),
        (checks.judge_python(PYTHON, "CPython", is_debug_build=False, has_gil=False), "warn"),
        (checks.judge_python((3, 14, 2), "CPython", is_debug_build=False, has_gil=True), "warn"),
    ],
)
def test_findings_are_judged_and_say_what_to_do(check: MachineCheck, level: str) -> None:
    assert check.level == level
    assert level == "ok" or any(mark in check.words for mark in ":;")


def test_this_machine_is_examined_in_full() -> None:
    names = [check.name for check in examine_machine()]
    assert len(names) == len(set(names)) == 11


def test_a_quota_is_named_with_what_it_is_worth_and_what_it_has_held_back() -> None:
    words = checks.judge_quotas([Quota("/docker/c1", 1.5, 27, 812_000), Quota("/", 8.0)], 4).words
    assert "quota of 1.5 cores, group /docker/c1: worth 1.5 of 4 usable cores" in words
    assert "held back for 812.0 ms in 27 periods" in words
    assert "raise it to 2 or more" in words


def test_a_run_is_judged_in_words(make_run: Callable[..., Run]) -> None:
    assert checks.validity_words(make_run(1, "gevent")) == "valid"
    assert checks.validity_words(make_run(1, "gevent", "steal of 7 %")) == "not valid: steal of 7 %"
    failed = make_run(1, "gevent", outcome="failed", reason="the server ended", load=None)
    assert checks.validity_words(failed) == "failed: the server ended"


def test_a_server_that_had_to_be_killed_is_said(make_run: Callable[..., Run]) -> None:
    record = ChildRecord(command=[], exit_status=-9, was_killed=True, log_tail=[])
    assert checks.validity_words(make_run(1, "gevent", server=record)) == (
        "valid, with a warning: the server did not stop when asked to and was killed"
    )


def test_a_run_that_began_on_a_busy_machine_says_so(make_run: Callable[..., Run]) -> None:
    busy = make_run(1, "gevent", quiet=Quiet(is_quiet=False, busy_percent=41.6, waited_s=20.1))
    assert checks.validity_words(busy).endswith("it began with a core 42 % busy, after 20 s of waiting")
    calm = make_run(1, "gevent", quiet=Quiet(is_quiet=True, busy_percent=1.0, waited_s=0.3))
    assert checks.validity_words(calm) == "valid"
