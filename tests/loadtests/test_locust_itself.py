"""Locust's own arguments, tables and files: a true summary or a clear refusal, and an exit status that says which."""

import csv
import json
import re
from pathlib import Path

import pytest

from shared.measure.summary import read_summary
from tests.loadtests.conftest import load, planted
from tests.support.planted_law import Law

SHORT = ("--users", 10, "--warm-up", 1, "--duration", 2)


@pytest.mark.parametrize("more", [(), ("--processes", 2)], ids=["alone", "with workers"])
def test_locust_s_own_files_say_what_the_summary_says(tmp_path: Path, more: tuple[object, ...]) -> None:
    out, prefix, page = tmp_path / "out.json", tmp_path / "csv", tmp_path / "page.html"
    with planted(Law(lateness_ms=4, drop_every=31), tmp_path) as server:
        done = load("--host", server.url, *SHORT, *more, "--out", out, "--csv", prefix, "--html", page)
    assert done.returncode in {0, 3}, done.stderr
    summary = read_summary(out.read_bytes())
    lateness = summary.tick_lateness_ms
    with (tmp_path / "csv_stats.csv").open() as file:
        rows = {row["Name"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"tick lateness", "interval error", "Aggregated"}
    for name in ("tick lateness", "Aggregated"):
        row = rows[name]
        assert int(row["Request Count"]) == lateness.count
        assert int(row["Failure Count"]) == lateness.count - summary.frames.received > 0
        assert float(row["Requests/s"]) == pytest.approx(lateness.count / summary.duration_s)
        assert float(row["50%"]) == pytest.approx(lateness.p50, rel=0.005, abs=0.006)
        assert float(row["99%"]) == pytest.approx(lateness.p99, rel=0.005, abs=0.006)
    found = re.search(r"window\.templateArgs = (\{.*\})", page.read_text("utf-8"))
    assert found is not None
    (shown,) = [row for row in json.loads(found[1])["requests_statistics"] if row["name"] == "tick lateness"]
    assert shown["median_response_time"] == float(rows["tick lateness"]["50%"])
    assert shown["response_time_percentile_0.99"] == float(rows["tick lateness"]["99%"])
    assert shown["total_rps"] == pytest.approx(lateness.count / summary.duration_s)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["Sleeper"], "Sleeper: the scenario says who comes, no user class; right would be --scenario idle"),
        (["--users", "0"], "--users 0: right would be a number from 1 to 100000"),
    ],
)
def test_what_would_be_another_run_is_refused_in_one_line(arguments: list[str], why: str, tmp_path: Path) -> None:
    done = load("--host", "http://127.0.0.1:1", "--out", tmp_path / "out.json", *arguments)
    assert done.returncode == 2
    assert why in done.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())
