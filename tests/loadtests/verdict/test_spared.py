"""Validity by figure: what a reason leaves alone, and that whatever nobody thought about is spoiled."""

from dataclasses import replace

import msgspec
import pytest

from loadtests.verdict.checks import COUNTS, CPU, MEMORY, REASONS, SERVERS_OWN
from loadtests.verdict.findings import Findings
from loadtests.verdict.validity import judge
from shared.measure.summary import LoadSummary
from tests.loadtests.verdict.test_validity import QUIET, UNSTAMPED

STOLEN = replace(QUIET, steal_percent=11.0)
TIMES = ("tick_lateness_ms.p99", "interval_error_ms.p99", "delivery_ms.p99", "ping_rtt_ms.p99", "connections.refused")


@pytest.mark.parametrize(
    "findings",
    [STOLEN, replace(QUIET, foreign_server_percent=11.0), replace(QUIET, core_gap_ms=40.0)],
    ids=["steal", "foreign", "gap"],
)
def test_what_takes_the_server_s_time_spoils_its_times_and_not_its_memory_or_reach(findings: Findings) -> None:
    verdict = judge(findings)
    assert not verdict.ok
    for figure in (*TIMES, "server.cpu_us_per_frame", "server.skipped_ticks", "ticks_came"):
        assert verdict.spoiled_by(figure) == verdict.reasons
    for figure in ("server.rss_per_connection_bytes", "reach", "connections.closed_early"):
        assert verdict.spoiled_by(figure) == []


def test_a_stepped_clock_spoils_times_and_not_what_the_server_took_of_its_core() -> None:
    verdict = judge(replace(QUIET, clock_step_us=5_000))
    assert all(map(verdict.spoiled_by, TIMES))
    assert not any(map(verdict.spoiled_by, ("server.cpu_us_per_frame", "server.skipped_ticks", "reach")))


def test_a_generator_that_read_late_spoils_arrivals_and_not_what_the_server_says_of_its_ticks() -> None:
    for findings in (replace(QUIET, coalesced=5_000), replace(UNSTAMPED, lag_p99_ms=9.0)):
        verdict = judge(findings)
        assert all(map(verdict.spoiled_by, TIMES))
        assert verdict.spoiled_by("server.cpu_us_per_frame"), "reads that wake less often cost the server less"
        assert verdict.spoiled_by("longest_silence_ms")
        for figure in ("server.skipped_ticks", "server.rss_per_connection_bytes", "reach", "ticks_came"):
            assert verdict.spoiled_by(figure) == []


def test_a_cold_start_spoils_times_and_not_what_is_weighed_after_the_window() -> None:
    verdict = judge(replace(QUIET, stretch_p50_us=[1600, 1000, 1000, 1000]))
    assert all(map(verdict.spoiled_by, (*TIMES, "server.cpu_us_per_frame", "server.rss_bytes")))
    assert not any(map(verdict.spoiled_by, ("server.rss_per_connection_bytes", "reach")))


@pytest.mark.parametrize(
    "findings",
    [
        replace(QUIET, slow_skips=3),
        replace(QUIET, own_limits="3 x EMFILE"),
        replace(QUIET, not_started=1),
        replace(QUIET, left_early=1),
        replace(QUIET, lost_workers=["w"]),
        replace(QUIET, timed_out=1, generator_cpu_percent=90),
        replace(QUIET, expected=0),
    ],
)
def test_another_load_than_was_asked_for_spoils_everything(findings: Findings) -> None:
    verdict = judge(findings)
    assert all(map(verdict.spoiled_by, (*TIMES, *COUNTS, *MEMORY, *CPU, *SERVERS_OWN)))


def test_a_second_reason_spoils_what_the_first_one_spared() -> None:
    verdict = judge(replace(STOLEN, slow_skips=3))
    assert verdict.spoiled_by("reach") == [reason for reason in verdict.reasons if "slow consumer" in reason]
    assert len(verdict.spoiled_by("tick_lateness_ms.p50")) == 2


def test_the_table_spares_figures_that_there_are() -> None:
    assert {check.name for check in REASONS if check.effect.at_fault and not check.effect.spares} == {
        "slow_skips", "own_limits", "not_started", "left_early", "lost_workers"
    }, "a new reason spoils every figure: give it an effect, or name it here"  # fmt: skip
    for figure in {figure for check in REASONS for figure in check.effect.spares}:
        part: type = LoadSummary
        for name in figure.split("."):
            fields = {field.name: field.type for field in msgspec.structs.fields(part)}
            assert name in fields, figure
            part = fields[name]
