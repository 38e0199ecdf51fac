"""Each objection is raised where measuring.md puts it, and only there."""

import json
from dataclasses import asdict, replace
from typing import Any

import msgspec
import pytest

from loadtests.verdict.checks import REASONS, WARNINGS, is_saturated
from loadtests.verdict.findings import LIMITS, Findings, ValidityLimits
from loadtests.verdict.validity import judge

QUIET = Findings(
    timestamps="kernel",
    period_ms=50.0,
    received=100_000,
    missing=0,
    expected=100_000,
    coalesced=10,
    generator_cpu_percent=35.0,
    lag_p99_ms=6.0,
    steal_percent=0.2,
    core_gap_ms=3.0,
    unwatched_cpus=[],
    foreign_server_percent=0.4,
    foreign_generator_percent=0.7,
    shared_cpus=[],
    clock_step_us=0,
    slow_skips=0,
    own_limits="",
    timed_out=0,
    not_started=0,
    left_early=0,
    lost_workers=[],
    stretch_p50_us=[800, 900, 880, 890, 910],
    server_unknown=False,
    stats_lost=False,
    stats_late_ms=0.0,
    same_host=True,
    clock_uncertainty_us=0,
    negative_deliveries=0,
    concurrency=None,
    unexplained_ticks=0,
    lost_ticks="",
    refused="",
    closed_early="",
    broken="",
    told="",
)
UNSTAMPED = replace(QUIET, timestamps="read", lag_p99_ms=0.5)
REMOTE = replace(QUIET, same_host=False, clock_uncertainty_us=1234)


def test_a_quiet_run_is_valid() -> None:
    verdict = judge(QUIET)
    assert (verdict.ok, verdict.reasons, verdict.warnings) == (True, [], [])
    assert not is_saturated(QUIET, LIMITS)


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        (
            replace(QUIET, throttled="the server for 9 ms"),
            "a CPU quota (cgroup, as of a container) held back the server",
        ),
        (replace(QUIET, steal_percent=5.1), "stole 5.1 %"),
        (replace(QUIET, core_gap_ms=25.1), "away for 25.1 ms at once (limit half a period, 25 ms)"),
        (replace(QUIET, foreign_server_percent=3.2), "took 3.2 % of the server's core"),
        (replace(QUIET, clock_step_us=1001), "stepped by 1.0 ms"),
        (replace(QUIET, coalesced=1001), "1.0 % of the frames"),
        (replace(QUIET, slow_skips=3), "slow consumer: the server skipped 3 frames"),
        (replace(QUIET, expected=0, received=0), "no tick was due in the window: nothing was measured"),
        (replace(QUIET, in_slots=True, received=0), "stand still for its peers'; measure it in whole"),
        (replace(QUIET, own_limits="2 x too many open files"), "own limits: 2 x too many open files"),
        (replace(QUIET, not_started=7), "7 users were not started"),
        (replace(QUIET, slots_spoiled=12), "spoiled all of the 12 slots: the figures are those of the last"),
        (
            replace(QUIET, left_early=5),
            "the number of users was changed during the run: 5 connections left before its end",
        ),
        (
            replace(QUIET, lost_workers=["a_1", "a_2"]),
            "2 of the workers were lost, with all that they had measured: a_1, a_2",
        ),
        (replace(QUIET, stretch_p50_us=[1600, 1000, 1000, 1000]), "warm-up was too short"),
        (replace(QUIET, stretch_p50_us=[600, 1000, 1000, 1000]), "warm-up was too short"),
    ],
)
def test_reasons(findings: Findings, words: str) -> None:
    verdict = judge(findings)
    assert not verdict.ok
    assert len(verdict.reasons) == 1
    assert words in verdict.reasons[0]
    assert verdict.warnings == []


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        (replace(UNSTAMPED, generator_cpu_percent=81), "the generator took 81 % of a core"),
        (replace(UNSTAMPED, lag_p99_ms=1.1), "loop lagged by 1.1 ms (p99) without kernel timestamps"),
        (replace(UNSTAMPED, foreign_generator_percent=3.2), "took 3.2 % of the generator's core"),
    ],
)
def test_reasons_where_the_kernel_does_not_stamp(findings: Findings, words: str) -> None:
    verdict = judge(findings)
    assert not verdict.ok
    assert len(verdict.reasons) == 1
    assert words in verdict.reasons[0]
    assert verdict.warnings == judge(UNSTAMPED).warnings


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        (UNSTAMPED, "no receive timestamps"),
        (replace(QUIET, generator_cpu_percent=81), "the generator took 81 % of a core"),
        (replace(QUIET, lag_p99_ms=26), "loop lagged by 26.0 ms"),
        (replace(QUIET, foreign_generator_percent=3.2), "took 3.2 % of the generator's core"),
        (replace(QUIET, unwatched_cpus=[0, 3]), "no drift probe watched core 0, 3"),
        (replace(QUIET, shared_cpus=[0]), "may run on the same cores"),
        (replace(QUIET, clock_step_us=150), "stepped by 150 us"),
        (replace(QUIET, clock_step_us=1000), "stepped by 1000 us"),
        (replace(QUIET, server_unknown=True), "no /stats of ours"),
        (replace(REMOTE, server_unknown=True), "no /stats of ours"),
        (REMOTE, "on another host: one-way figures are uncertain by 1.234 ms"),
        (replace(REMOTE, same_boot=True), "has this host's boot id and not its clock"),
        (replace(QUIET, unassigned_percent=6.2), "6.2 % of it were not the server's by its own count"),
        (
            replace(QUIET, others_untold=True),
            "is not known: others ran beside it on purpose, and not all processes",
        ),
        (
            replace(QUIET, server_unknown=True, why_unknown="HTTP status 404"),
            "no /stats of ours (HTTP status 404): its",
        ),
        (replace(QUIET, doubts="slow_skips went back from 4 to 3"), "not believed, and what follows from it is left"),
        (replace(QUIET, stats_lost=True), "did not answer GET /stats"),
        (replace(QUIET, stats_late_ms=700.0), "answered GET /stats only 700 ms into the window"),
        (replace(QUIET, unexplained_ticks=3), "3 due times were no tick for anybody"),
        (replace(QUIET, lag_p99_ms=None), "whether the generator's loop lagged is not known"),
        (replace(QUIET, negative_deliveries=2), "2 frames arrived before they were sent"),
        (replace(QUIET, concurrency=(10.0, 8.9)), "Little's law: 10 connections in a closed loop make 8.9"),
        (replace(QUIET, concurrency=(10.0, 11.1)), "Little's law: 10 connections in a closed loop make 11.1"),
        (replace(QUIET, lost_ticks="1 in room main"), "counted as missing: 1 in room main"),
        (replace(QUIET, refused="1 x HTTP status 503"), "refused: 1 x HTTP status 503"),
        (replace(QUIET, closed_early="1 x close 1013"), "ended early: 1 x close 1013"),
        (replace(QUIET, broken="1 x a masked frame"), "broke the protocol: 1 x a masked frame"),
        (replace(QUIET, told="1 x Maximum players reached"), "told its clients of errors: 1 x Maximum players reached"),
        (
            replace(QUIET, told="9 x Maximum players reached", bots=10),
            "10 of the places in each room are its bots', serve --bots 0",
        ),
    ],
)
def test_warnings(findings: Findings, words: str) -> None:
    verdict = judge(findings)
    assert verdict.ok
    assert len(verdict.warnings) == 1
    assert words in verdict.warnings[0]


@pytest.mark.parametrize(
    "findings",
    [
        replace(QUIET, steal_percent=5.0),
        replace(QUIET, core_gap_ms=25.0),
        replace(QUIET, foreign_server_percent=3.0, foreign_generator_percent=3.0),
        replace(QUIET, coalesced=1000),
        replace(QUIET, generator_cpu_percent=80.0),
        replace(QUIET, lag_p99_ms=25.0),
        replace(QUIET, concurrency=(10.0, 9.0)),
        replace(QUIET, concurrency=(10.0, 11.0)),
        replace(QUIET, missing=500),
    ],
)
def test_at_the_limit_all_is_well(findings: Findings) -> None:
    verdict = judge(findings)
    assert (verdict.reasons, verdict.warnings) == ([], [])


def test_what_is_not_known_is_no_objection() -> None:
    unknown = replace(
        QUIET,
        period_ms=None,
        steal_percent=None,
        core_gap_ms=None,
        foreign_server_percent=None,
        foreign_generator_percent=None,
        slow_skips=None,
        stretch_p50_us=[],
        received=0,
        coalesced=0,
    )
    verdict = judge(unknown)
    assert (verdict.reasons, verdict.warnings) == ([], [])
    assert judge(replace(unknown, core_gap_ms=900.0, lag_p99_ms=900.0)).ok, "no period, no half of one"
    assert not is_saturated(unknown, LIMITS)


def test_all_objections_are_raised_together() -> None:
    verdict = judge(replace(REMOTE, steal_percent=9.0, clock_step_us=2000, timed_out=1, refused="1 x close 1013"))
    assert (len(verdict.reasons), len(verdict.warnings)) == (2, 3)


# The warm-up


@pytest.mark.parametrize(
    ("stretches_us", "ok"),
    [
        ([], True),
        ([5000], True),
        ([100, 299], True),
        ([100, 300], True),
        ([100, 301], False),
        ([301, 100], False),
        ([10_000, 12_500], True),
        ([9_999, 12_500], False),
        ([15_000, 12_500], True),
        ([15_001, 12_500], False),
        ([2000, 10_000, 10_000, 10_000, 10_000, 10_000], False),
    ],
)
def test_the_warm_up_is_to_be_like_the_beginning_of_the_run(stretches_us: list[int], ok: bool) -> None:
    assert judge(replace(QUIET, stretch_p50_us=stretches_us)).ok is ok


def test_what_a_run_does_all_the_time_is_no_sign_of_a_cold_start() -> None:
    swings = [2000, 10_000, 2000, 10_000, 2000, 10_000, 2000, 10_000]
    assert judge(replace(QUIET, stretch_p50_us=swings)).ok
    first_half_only = [2000, 10_000, 2000, 10_000, 10_000, 10_000, 10_000, 10_000, 10_000]
    assert not judge(replace(QUIET, stretch_p50_us=first_half_only)).ok
    smaller_swings = [2000, 10_000, 10_000, 10_000, 10_000, 10_000, 7000, 10_000, 7000]
    assert not judge(replace(QUIET, stretch_p50_us=smaller_swings)).ok


@pytest.mark.parametrize(
    ("stretches_us", "ok"),
    [
        ([13_410, 11_100, 11_300, 11_000, 11_200], True),  # recorded against a steady server: the machine's own
        ([13_410, 11_100, 8000, 8100, 7900], False),  # it still settles
        ([8500, 11_100, 13_500, 13_600, 13_500], False),  # it still gets worse
        ([13_410, 11_100, 13_500, 13_600, 13_500], True),  # it goes back
    ],
)
def test_a_small_difference_counts_if_it_goes_on(stretches_us: list[int], ok: bool) -> None:
    assert judge(replace(QUIET, stretch_p50_us=stretches_us)).ok is ok


# The rest


def test_saturated() -> None:
    assert is_saturated(replace(QUIET, generator_cpu_percent=81), LIMITS)
    assert is_saturated(replace(QUIET, coalesced=1001), LIMITS)
    assert not is_saturated(replace(QUIET, generator_cpu_percent=80, coalesced=1000), LIMITS)


def test_no_check_is_in_the_table_twice() -> None:
    names = [check.name for check in (*REASONS, *WARNINGS)]
    assert len(set(names)) == len(names)


def test_other_limits_can_be_asked_for() -> None:
    strict = ValidityLimits(steal_percent=0.1)
    assert judge(QUIET).ok
    assert not judge(QUIET, strict).ok
    assert "limit 0.1 %" in judge(QUIET, strict).reasons[0]
    assert is_saturated(QUIET, ValidityLimits(generator_percent=30))


@pytest.mark.parametrize(
    "findings",
    [
        QUIET,
        replace(UNSTAMPED, period_ms=None, core_gap_ms=None, slow_skips=None, clock_uncertainty_us=None),
        replace(REMOTE, concurrency=(12.0, 10.5), lost_workers=["w"], shared_cpus=[0, 1], stretch_p50_us=[]),
        replace(QUIET, refused='1 x "odd"\n', told="é"),
    ],
)
def test_the_evidence_gives_the_same_verdict_again(findings: Findings) -> None:
    for wire in (json.loads(json.dumps(asdict(findings))), msgspec.json.decode(msgspec.json.encode(asdict(findings)))):
        again = msgspec.convert(wire, Findings)
        assert again == findings
        assert judge(again) == judge(findings)


@pytest.mark.parametrize("change", [{"received": "many"}, {"timestamps": "sundial"}, {"concurrency": [1]}])
def test_no_evidence(change: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(asdict(QUIET) | change, Findings)


@pytest.mark.parametrize(
    "findings",
    [
        replace(QUIET, throttled="the server for 9 ms"),
        replace(QUIET, steal_percent=5.1),
        replace(QUIET, core_gap_ms=25.1),
        replace(QUIET, foreign_server_percent=3.2),
        replace(QUIET, clock_step_us=1001),
    ],
)
def test_what_no_server_can_cause_is_told_apart(findings: Findings) -> None:
    verdict = judge(replace(findings, stretch_p50_us=[1600, 1000, 1000, 1000]))
    assert len(verdict.reasons) == 2
    assert verdict.machine == verdict.reasons[:1]
    assert verdict.generator == []


@pytest.mark.parametrize(
    "findings",
    [
        replace(QUIET, coalesced=1001),
        replace(QUIET, slow_skips=3),
        replace(QUIET, own_limits="2 x too many open files"),
        replace(QUIET, not_started=7),
        replace(QUIET, lost_workers=["a_1"]),
    ],
)
def test_what_the_generator_could_not_do_is_told_apart(findings: Findings) -> None:
    verdict = judge(findings)
    assert verdict.generator == verdict.reasons
    assert verdict.machine == []


def test_what_an_arm_can_cause_is_neither() -> None:
    for findings in (
        replace(QUIET, timed_out=1, generator_cpu_percent=90),
        replace(QUIET, stretch_p50_us=[1600, 1000, 1000, 1000]),
    ):
        verdict = judge(findings)
        assert (len(verdict.reasons), verdict.machine, verdict.generator) == (1, [], [])


def test_a_probe_that_the_server_can_keep_waiting_does_not_blame_the_machine() -> None:
    verdict = judge(replace(QUIET, core_gap_ms=25.1, core_gap_outranks=False))
    assert verdict.reasons == judge(replace(QUIET, core_gap_ms=25.1)).reasons
    assert (len(verdict.reasons), verdict.machine) == (1, [])


# What did not come


def spoils_ticks_came(findings: Findings) -> bool:
    return bool(judge(findings).spoiled_by("ticks_came"))


def test_ticks_that_did_not_come_are_the_first_warning() -> None:
    found = replace(
        QUIET,
        due=10_000,
        not_come="2,950 at due times that the server skipped",
        longest_silence_ms=3051.0,
        told="1 x Maximum players reached",
    )
    verdict = judge(found)
    assert verdict.ok, "what the server does is no reason"
    assert verdict.warnings[0].startswith("ticks did not come, of 10,000 that were due: 2,950 at due times that the s")
    assert verdict.warnings[0].endswith("longest silence 3.05 s")


@pytest.mark.parametrize(
    ("found", "spoils"),
    [
        (replace(QUIET, steal_percent=6.0, taken_percent=6.0, not_come_percent=30.0), False),
        (replace(QUIET, steal_percent=6.0, taken_percent=6.0, not_come_percent=10.9), True),
        (replace(QUIET, core_gap_ms=60.0, taken_percent=0.5, not_come_percent=1.0), True),
        (replace(QUIET, core_gap_ms=60.0, taken_percent=0.5, not_come_percent=30.0), False),
        (replace(QUIET, foreign_server_percent=90.0, taken_percent=90.0, not_come_percent=100.0), True),
        (replace(QUIET, steal_percent=6.0, taken_percent=None, not_come_percent=100.0), True),
        (replace(QUIET, throttled="the server", taken_percent=0.0, not_come_percent=100.0), True),
    ],
)
def test_no_stolen_time_excuses_what_it_cannot_account_for(found: Findings, spoils: bool) -> None:
    assert not judge(found).ok
    assert spoils_ticks_came(found) is spoils
    assert judge(found).spoiled_by("tick_lateness_ms.p99")


def test_a_run_in_which_nothing_came_that_was_due_was_measured() -> None:
    nothing = replace(QUIET, received=0, missing=0, expected=0, coalesced=0)
    assert any("nothing was measured" in reason for reason in judge(nothing).reasons)
    assert judge(replace(nothing, due=2000, not_come="2,000 due", not_come_percent=100.0)).ok


@pytest.mark.parametrize(("received", "coalesced", "ok"), [(40, 1, True), (40, 2, True), (40, 3, False)])
def test_one_coalesced_frame_of_a_few_is_no_reason_but_said(received: int, coalesced: int, ok: bool) -> None:
    verdict = judge(replace(QUIET, received=received, expected=received, coalesced=coalesced))
    assert verdict.ok is ok
    assert any("upper bound" in words for words in (*verdict.warnings, *verdict.reasons))


@pytest.mark.parametrize(("gapped_percent", "stands"), [(1.0, True), (5.0, True), (5.1, False), (100.0, False)])
def test_one_gap_decides_tails_and_not_the_middle(gapped_percent: float, stands: bool) -> None:
    verdict = judge(replace(QUIET, core_gap_ms=60.0, gapped_percent=gapped_percent))
    assert not verdict.ok
    for figure in ("tick_lateness_ms.p50", "server.cpu_us_per_frame"):
        assert bool(verdict.spoiled_by(figure)) is not stands
    for figure in ("tick_lateness_ms.p99", "interval_error_ms.p99", "ticks_came"):
        assert verdict.spoiled_by(figure)
    both = judge(replace(QUIET, core_gap_ms=60.0, gapped_percent=1.0, steal_percent=11.0))
    assert both.spoiled_by("tick_lateness_ms.p50") == [both.reasons[0]], "stolen time spoils it all the same"


def test_who_is_kept_waiting_is_kept_by_the_server_unless_the_generator_is_at_its_end() -> None:
    by_server = judge(replace(QUIET, timed_out=9))
    assert by_server.ok
    assert by_server.warnings == ["the server kept 9 connections waiting that had no tick frame in time"]
    by_generator = judge(replace(QUIET, timed_out=9, generator_cpu_percent=90))
    assert by_generator.reasons == [
        "the generator, itself at its end, gave up on 9 connections that had no tick frame in time"
    ]
