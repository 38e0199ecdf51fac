"""Connections that are not the run's are named, never more than there were, and so are the figures that they share."""

from dataclasses import replace
from typing import Any

import pytest

from loadtests.account.counts import MAIN, Accounts
from loadtests.verdict.measured_run import MeasuredRun
from loadtests.verdict.summary import summarise
from shared.measure.summary import LoadSummary, OtherConnections
from tests.loadtests.surroundings.test_server_stats import decoded
from tests.loadtests.verdict.test_summary import GAME, accounts, record, run

PROCESS = {"pid": 1, "rss_bytes": 1000, "cpus": [0]}


def beside(*connections: int, accepted: tuple[int | None, int | None] = (0, 10), **changes: Any) -> MeasuredRun:
    """Return a run of 10 connections on a server with so many before and after the window."""
    before, after = connections
    sent = changes.pop("sent", (0, 4000))
    answers = {
        "base": decoded(accepted=accepted[0]),
        "before": decoded(now_us=1_000_000, connections=before, frames_sent=sent[0], process=PROCESS | {"cpu_s": 1.0}),
        "after": decoded(
            now_us=13_000_000,
            connections=after,
            accepted=accepted[1],
            frames_sent=sent[1],
            process=PROCESS | {"cpu_s": 3.8},
        ),
    }
    return run(**(answers | changes))


def warnings(summary: LoadSummary) -> list[str]:
    return [words for words in summary.validity.warnings if "others were connected" in words]


def test_who_is_alone_hears_nothing_of_others() -> None:
    summary = summarise(beside(10, 10))
    assert summary.server.others == OtherConnections(before=0, after=0, came=0)
    assert warnings(summary) == []
    assert summarise(beside(10, 9)).server.others == OtherConnections(before=0, after=0, came=0)


def test_others_are_named_and_cpu_a_frame_is_that_of_all_frames() -> None:
    summary = summarise(beside(310, 305, accepted=(300, 315)))
    assert summary.server.others == OtherConnections(before=300, after=295, came=5)
    (warning,) = warnings(summary)
    assert "300 when the window opened, 295 when it was over, 5 came since the ramp began" in warning
    assert "CPU a frame is over all the frames that it sent" in warning
    assert summary.server.cpu_us_per_frame == pytest.approx(700)
    assert summary.validity.ok


def test_who_came_and_left_meanwhile_is_named() -> None:
    assert "40 came since the ramp began" in warnings(summarise(beside(10, 10, accepted=(7, 57))))[0]


def test_without_the_number_of_frames_there_is_no_cpu_a_frame() -> None:
    summary = summarise(beside(310, 310, accepted=(None, None), sent=(None, None)))
    assert summary.server.cpu_us_per_frame is None
    (warning,) = warnings(summary)
    assert "how many came since the ramp began it does not tell" in warning
    assert "CPU a frame is left out" in warning
    assert summarise(beside(10, 10, sent=(None, None))).server.cpu_us_per_frame is not None


def test_echoes_are_no_frames_that_the_server_counts() -> None:
    echo = replace(GAME, scenario=replace(GAME.scenario, path="/echo"))
    assert summarise(beside(10, 10, options=echo)).server.cpu_us_per_frame == pytest.approx(1e6 * 2.8 / 12 / 200)


def test_ours_are_never_called_others() -> None:
    churned: Accounts = accounts(requested=90, connected=90)
    of = record({MAIN: churned})
    ours = {"records": [of], "open_before": 31, "open_after": 32, "server_checks": 2}
    summary = summarise(beside(30, 30, accepted=(0, 92), **ours))
    assert summary.server.others == OtherConnections(before=0, after=0, came=0)
    assert summarise(beside(30, 30, lost_workers=["w"])).server.others is None
