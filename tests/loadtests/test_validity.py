"""Each objection is raised where measuring.md puts it, and only there."""

from dataclasses import replace

import pytest

from loadtests.validity import LIMITS, REASONS, WARNINGS, Findings, is_saturated, judge, limits_in_words

QUIET = Findings(
    timestamps="kernel",
    period_ms=50.0,
    received=100_000,
    coalesced=10,
    generator_cpu_percent=35.0,
    lag_p99_ms=6.0,
    steal_percent=0.2,
    foreign_server_percent=0.4,
    foreign_generator_percent=0.7,
    clock_step_us=0,
    slow_skips=0,
    own_limits="",
    timed_out=0,
    warm_up_p50_us=800,
    first_p50_us=900,
    server_unknown=False,
    same_host=True,
    negative_deliveries=0,
    lost_ticks="",
    refused="",
    closed_early="",
    errors="",
)
UNSTAMPED = replace(QUIET, timestamps="read", lag_p99_ms=0.5)


def test_a_quiet_run_is_valid() -> None:
    verdict = judge(QUIET)
    assert (verdict.ok, verdict.reasons, verdict.warnings) == (True, [], [])
    assert not is_saturated(QUIET)


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        (replace(QUIET, steal_percent=5.1), "stole 5.1 %"),
        (replace(QUIET, foreign_server_percent=3.2), "took 3.2 % of the server's core"),
        (replace(QUIET, clock_step_us=1001), "stepped by 1.0 ms"),
        (replace(QUIET, coalesced=1001), "1.0 % of the frames"),
        (replace(UNSTAMPED, generator_cpu_percent=81), "the generator took 81 % of a core"),
        (replace(UNSTAMPED, lag_p99_ms=1.1), "loop lagged by 1.1 ms"),
        (replace(QUIET, slow_skips=3), "skipped 3 frames"),
        (replace(QUIET, own_limits="2 x too many open files"), "2 x too many open files"),
        (replace(QUIET, timed_out=1), "gave up on 1 connections"),
        (replace(QUIET, warm_up_p50_us=1300, first_p50_us=1000), "warm-up was too short"),
        (replace(QUIET, warm_up_p50_us=700, first_p50_us=1000), "warm-up was too short"),
    ],
)
def test_reasons(findings: Findings, words: str) -> None:
    verdict = judge(findings)
    assert not verdict.ok
    assert len(verdict.reasons) == 1
    assert words in verdict.reasons[0]


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        (UNSTAMPED, "no receive timestamps"),
        (replace(QUIET, generator_cpu_percent=81), "the generator took 81 % of a core"),
        (replace(QUIET, lag_p99_ms=26), "loop lagged by 26.0 ms"),
        (replace(QUIET, foreign_generator_percent=3.2), "took 3.2 % of the generator's core"),
        (replace(QUIET, clock_step_us=150), "stepped by 150 us"),
        (replace(QUIET, server_unknown=True, same_host=False), "no /stats of ours"),
        (replace(QUIET, same_host=False), "on another host"),
        (replace(QUIET, negative_deliveries=2), "2 frames arrived before they were sent"),
        (replace(QUIET, lost_ticks="1 in room main"), "1 in room main"),
        (replace(QUIET, refused="1 x HTTP status 503"), "refused: 1 x HTTP status 503"),
        (replace(QUIET, closed_early="1 x close 1013"), "ended early: 1 x close 1013"),
        (replace(QUIET, errors="1 x Maximum players reached"), "Maximum players reached"),
    ],
)
def test_warnings(findings: Findings, words: str) -> None:
    verdict = judge(findings)
    assert verdict.ok
    assert len(verdict.warnings) == 1
    assert words in verdict.warnings[0]


def test_what_is_not_known_is_no_objection() -> None:
    unknown = replace(
        QUIET,
        period_ms=None,
        lag_p99_ms=None,
        steal_percent=None,
        foreign_server_percent=None,
        foreign_generator_percent=None,
        slow_skips=None,
        warm_up_p50_us=None,
        first_p50_us=None,
        received=0,
        coalesced=0,
    )
    assert judge(unknown).ok


def test_a_cold_start_of_less_than_the_floor_is_the_machine_s_own() -> None:
    assert judge(replace(QUIET, warm_up_p50_us=100, first_p50_us=299)).ok
    assert not judge(replace(QUIET, warm_up_p50_us=100, first_p50_us=301)).ok


def test_saturated() -> None:
    assert is_saturated(replace(QUIET, generator_cpu_percent=81))
    assert is_saturated(replace(QUIET, coalesced=1001))


def test_the_table_of_limits_and_the_checks() -> None:
    assert ("steal_percent", LIMITS.steal_percent) in limits_in_words()
    assert not set(REASONS) & set(WARNINGS)
