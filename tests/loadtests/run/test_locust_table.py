"""Locust's table shows what was counted. In a child process: importing Locust would patch the tests'."""

import csv
import json
import subprocess
import sys
from typing import Any

import pytest

from shared.measure.summary import read_summary
from tests.loadtests.account.test_locust_rows import RECORDED
from tests.loadtests.conftest import PATIENCE_S, ROOT

pytestmark = pytest.mark.xdist_group("locust table")  # one child process

STORY = """
import csv, io, json, sys, time
from pathlib import Path
from types import SimpleNamespace
from loadtests.run.locust_table import Entry, Table, show_finer
from loadtests.account.locust_rows import LATENESS, LocustRows, Row
from locust.stats import RequestStats, StatsCSV, StatsEntry, get_percentile_stats_summary, get_stats_summary
from shared.measure.histogram import Histogram
from msgspec.structs import replace
from shared.measure.summary import Validity, read_summary

def rows(since_s, in_window, us, count):
    histogram = Histogram()
    histogram.record(us, count)
    return LocustRows(since_s, in_window, {LATENESS: Row.of(histogram)})

show_finer()
stats = RequestStats()
stats.log_request("old", "run", 1, 1)
table, told = Table(stats), []
of_ten_seconds = Entry(RequestStats(), "recent", "frame")
entry, now = stats.entries[LATENESS, "frame"], time.time()

def tell():
    told.append([entry.num_requests, entry.median_response_time, entry.current_rps,
                 stats.total.get_current_response_time_percentile(0.99)])

table.show(rows(now - 2, False, 150_000, 100))
tell()
table.show(rows(now - 4, True, 1_000, 2_000))
tell()
table.show(rows(now - 4, True, 1_000, 4_000))
tell()
for second in range(1, 13):  # 5 ms in the first two, then 8 ms
    histogram = Histogram()
    histogram.record(5_000, 100 * min(second, 2))
    histogram.record(8_000, 100 * max(second - 2, 0))
    row = Row.of(histogram)
    of_ten_seconds.show(row, 0, second, goes_on=True)
current = [of_ten_seconds.num_requests, of_ten_seconds.current_rps,
           of_ten_seconds.get_current_response_time_percentile(0), of_ten_seconds.get_response_time_percentile(0)]
stats.total.extend(StatsEntry(stats, "Aggregated", ""))
summary = read_summary(Path(sys.argv[1]).read_bytes())
summary = replace(summary, validity=Validity.of(["steal of 7.1 %"], ["a busy loop"]))
table.finish(summary, now - 100)
out = io.StringIO()
StatsCSV(SimpleNamespace(stats=stats, runner=None), [0.5, 0.99]).requests_csv(csv.writer(out))
print(json.dumps({
    "told": told, "current": current, "names": sorted(name for name, _ in stats.entries), "csv": out.getvalue(),
    "ui": [entry.to_dict(), stats.total.to_dict()], "charts": [stats.total.get_current_response_time_percentile(0.99)],
    "errors": [error.to_dict() for error in stats.errors.values()],
    "console": get_stats_summary(stats, current=False) + get_percentile_stats_summary(stats),
}))
"""


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    command = [sys.executable, "-c", STORY, str(RECORDED)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_what_came_so_far_is_shown_and_at_the_window_s_opening_anew(shown: dict[str, Any]) -> None:
    warm_up, opened, later = shown["told"]
    assert warm_up[:2] == [100, 150]
    assert opened[:2] == [2_000, 1]
    assert later[:2] == [4_000, 1]
    assert warm_up[2] == pytest.approx(50, rel=0.1), "frames a second"
    assert later[2] == pytest.approx(1_000, rel=0.1)
    assert [opened[3], later[3]] == [1, 1], "nothing of the warm-up"


def test_what_is_current_came_in_the_last_ten_seconds(shown: dict[str, Any]) -> None:
    assert shown["current"] == [1_200, 100, 8, 5]


def test_at_the_end_every_row_is_the_summary_s(shown: dict[str, Any]) -> None:
    summary = read_summary(RECORDED.read_bytes())
    lateness = summary.tick_lateness_ms
    assert shown["names"] == ["interval error", "tick lateness"]
    for row in shown["ui"]:
        assert row["num_requests"] == lateness.count
        assert row["median_response_time"] == pytest.approx(lateness.p50, rel=0.005, abs=0.006)
        assert row["response_time_percentile_0.99"] == pytest.approx(lateness.p99, rel=0.005, abs=0.006)
        assert row["max_response_time"] == pytest.approx(lateness.max, rel=0.005, abs=0.006)
        assert row["avg_response_time"] == pytest.approx(lateness.mean, rel=0.001)
        assert row["total_rps"] == row["current_rps"] == pytest.approx(lateness.count / summary.duration_s)
        assert row["avg_content_length"] == pytest.approx(summary.frames.bytes / summary.frames.received)
        assert row["num_failures"] == lateness.count - summary.frames.received
    assert shown["charts"] == [pytest.approx(lateness.p99, rel=0.005, abs=0.006)]


def test_a_csv_file_is_as_fine_as_the_web_ui(shown: dict[str, Any]) -> None:
    by_name = {row["Name"]: row for row in csv.DictReader(shown["csv"].splitlines())}
    web_ui, _ = shown["ui"]
    assert set(by_name) == {"tick lateness", "interval error", "Aggregated"}
    for name in ("tick lateness", "Aggregated"):
        assert float(by_name[name]["50%"]) == web_ui["median_response_time"]
        assert float(by_name[name]["99%"]) == web_ui["response_time_percentile_0.99"]


def test_a_console_shows_tenths_of_a_millisecond(shown: dict[str, Any]) -> None:
    web_ui, _ = shown["ui"]
    lines = [line for line in shown["console"] if "tick lateness" in line]
    assert len(lines) == 2
    assert f"{web_ui['median_response_time']:.1f} |" in lines[0]
    assert f" {web_ui['response_time_percentile_0.99']:.1f} " in lines[1]


def test_what_did_not_come_and_what_spoiled_it_are_among_the_failures(shown: dict[str, Any]) -> None:
    web_ui, _ = shown["ui"]
    told = [(error["name"], error["error"], error["occurrences"]) for error in shown["errors"]]
    missing = ("tick lateness", "frames that were due and did not come", web_ui["num_failures"])
    assert told == [missing, ("not valid", "steal of 7.1 %", 1)]
