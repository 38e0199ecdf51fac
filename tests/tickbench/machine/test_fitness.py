import pytest

from shared.measure.quota import Quota
from tickbench.machine import fitness
from tickbench.machine.diagnosis import examine_machine
from tickbench.machine.fitness import MachineCheck

PYTHON = (3, 13, 1)


@pytest.mark.parametrize(
    ("check", "level"),
    [
        (fitness.judge_cores(2), "ok"),
        (fitness.judge_cores(1), "fail"),
        (fitness.judge_quotas([], 2), "ok"),
        (fitness.judge_quotas([Quota("/a", 0.5)], 2), "fail"),
        (fitness.judge_quotas([Quota("/a", 8.0), Quota("/", 1.5, 3, 900)], 8), "fail"),
        (fitness.judge_quotas([Quota("/a", 2.0)], 4), "warn"),
        (fitness.judge_quotas([Quota("/a", 4.0)], 4), "ok"),
        (fitness.judge_quotas([Quota("/a", 4.0, 1, 900)], 4), "warn"),
        (fitness.judge_quotas([Quota("/a", None, 1, 900)], 4), "ok"),
        (fitness.judge_descriptors(1_048_576), "ok"),
        (fitness.judge_descriptors(4_096), "warn"),
        (fitness.judge_descriptors(256), "fail"),
        (fitness.judge_clock_source("tsc"), "ok"),
        (fitness.judge_clock_source("hpet"), "warn"),
        (fitness.judge_clock_source(None), "warn"),
        (fitness.judge_steal(0.2), "ok"),
        (fitness.judge_steal(3), "warn"),
        (fitness.judge_steal(9), "fail"),
        (fitness.judge_governors({None}), "ok"),
        (fitness.judge_governors({"performance"}), "ok"),
        (fitness.judge_governors({"performance", "powersave"}), "warn"),
        (fitness.judge_load(0.3, 2), "ok"),
        (fitness.judge_load(3, 2), "warn"),
        (fitness.judge_ports(28_232), "ok"),
        (fitness.judge_ports(1_000), "warn"),
        (fitness.judge_ports(None), "warn"),
        (fitness.judge_timestamps(available=True), "ok"),
        (fitness.judge_timestamps(available=False), "warn"),
        (fitness.judge_python(PYTHON, "CPython", is_debug_build=False, has_gil=True), "ok"),
        (fitness.judge_python(PYTHON, "CPython", is_debug_build=True, has_gil=True), "warn"),
        (fitness.judge_python(PYTHON, "CPython", is_debug_build=False, has_gil=False), "warn"),
        (fitness.judge_python((3, 14, 2), "CPython", is_debug_build=False, has_gil=True), "warn"),
    ],
)
def test_findings_are_judged_and_say_what_to_do(check: MachineCheck, level: str) -> None:
    assert check.level == level
    assert level == "ok" or any(mark in check.words for mark in ":;")


def test_this_machine_is_examined_in_full() -> None:
    names = [check.name for check in examine_machine()]
    assert len(names) == len(set(names)) == 11


def test_a_quota_is_named_with_what_it_is_worth_and_what_it_has_held_back() -> None:
    words = fitness.judge_quotas([Quota("/docker/c1", 1.5, 27, 812_000), Quota("/", 8.0)], 4).words
    assert "quota of 1.5 cores, group /docker/c1: worth 1.5 of 4 usable cores" in words
    assert "held back for 812.0 ms in 27 periods" in words
    assert "raise it to 2 or more" in words
