"""The real benches, with few connections: that they run, end, and say what was asked for. Of the times nothing."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tickbench import cli
from tickbench.bench.arms import PEER
from tickbench.bench.measure import percentile, tick_ratios
from tickbench.bench.page import words
from tickbench.bench.ratios import RatioEstimate
from tickbench.verbs import bench


def test_the_nearest_rank_is_the_percentile() -> None:
    values = [float(value) for value in range(1, 201)]
    assert [percentile(values, percent) for percent in (0, 50, 99, 99.5, 100)] == [1, 100, 198, 199, 200]
    assert percentile([7.0], 99) == 7


def test_ticks_are_compared_with_those_beside_them() -> None:
    fast, slow = [5.0, 5.0, 10.0, 10.0, 10.0], [6.0, 6.0, 6.0, 12.0, 12.0]
    assert tick_ratios([slow, fast], [fast, fast]) == [1.2, 1.0]


def test_a_figure_is_told_with_its_interval() -> None:
    assert words(RatioEstimate(1.234, 1.1, 1.3), 2) == "1.23 [1.10-1.30]"
    assert words(None, 2) == "-"


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) <= before


def test_fan_outs(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickbench.bench.measure.TICKS_A_BLOCK", 2)
    raw, chart = tmp_path / "bench.json", tmp_path / "bench.html"
    arguments = ["bench", "fanout", "--repeats", "2", "--connections", "5", "--json", str(raw), "--chart", str(chart)]
    assert cli.main(arguments) == 0
    report = json.loads(raw.read_text())
    assert report["schema"] == "tickbench.bench/4"
    assert report["environment"]["packages"]["picows"]
    figures = {(figure["arm"], figure["way"]): figure for figure in report["fanout"]}
    assert len(figures) == 15
    for (_, way), figure in figures.items():
        assert [len(repeat) for repeat in figure["us"]] == [2, 2]
        assert figure["cost_us"]["low"] <= figure["cost_us"]["median"] <= figure["cost_us"]["high"]
        assert (figure["to_raw"] is None) == (way in ("raw", "broadcast"))
        assert (figure["to_peer"] is None) == (way in ("raw", "broadcast"))
    assert "frame-once" in capfd.readouterr().out
    assert "asyncio:loop=uvloop, frame-once" in chart.read_text()


def test_fan_outs_of_a_framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickbench.bench.measure.TICKS_A_BLOCK", 2)
    raw, page = tmp_path / "bench.json", tmp_path / "bench.md"
    chosen = ["--framework", "websockets", "--framework", "flask-sock"]
    files = ["--json", str(raw), "--markdown", str(page)]
    assert cli.main(["bench", "fanout", *chosen, "--repeats", "2", "--connections", "3", *files]) == 0
    figures = {(figure["arm"], figure["way"]) for figure in json.loads(raw.read_text())["fanout"]}
    asyncio, gevent = "asyncio:framework=websockets", "gevent:framework=flask-sock"
    assert figures == {
        *((asyncio, way) for way in ("raw", "frame-once", "library")),
        *((f"{asyncio},fanout=naive", way) for way in ("raw", "naive")),
        *((gevent, way) for way in ("raw", "frame-once")),
        *((f"{gevent},fanout={way}", sent) for way in ("library", "naive") for sent in ("raw", way)),
        (PEER, "broadcast"),
    }
    rows = [line for line in page.read_text().splitlines() if line.startswith(f"| {gevent},fanout=naive | naive |")]
    assert len(rows) == 1
    assert rows[0].count("[") == 2, "an interval of each ratio"


def test_timers(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickbench.bench.measure.BUSY_CONNECTIONS", 5)
    monkeypatch.setattr("tickbench.bench.measure.CLOCK_RATES_HZ", (60, 100))
    monkeypatch.setattr(bench, "TICKS_A_REPEAT", 3)
    raw = tmp_path / "bench.json"
    assert cli.main(["bench", "timer", "--repeats", "2", "--json", str(raw)]) == 0
    figures = json.loads(raw.read_text())["clocks"]
    assert len(figures) == 4 * 2 * 2 * 3
    for figure in figures:
        assert [len(waits) for waits in figure["late_us"]] == [3, 3]
        late_us = sorted(itertools.chain.from_iterable(figure["late_us"]))
        assert late_us[0] >= -5  # the offsets of two clocks differ by as much as taking them took
        assert late_us[0] <= figure["p50_us"] <= figure["p99_us"] == late_us[-1]
        beyond = figure["p99_beyond_sleep_us"]
        assert beyond["low"] <= beyond["median"] <= beyond["high"]
        assert (figure["way"] == "time.sleep") <= (beyond["median"] == 0)
    assert "time.sleep" in capfd.readouterr().out


def test_rules_are_passed_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    raw = tmp_path / "bench.json"
    assert cli.main(["bench", "rules", "--repeats", "2", "--json", str(raw)]) == 0
    assert json.loads(raw.read_text())["rules"]["10"]["tickbench"]
    assert "Rules and encoding" in capfd.readouterr().out


@pytest.mark.parametrize(("folder", "word"), [(".", "game.py"), ("nowhere", "nowhere")])
def test_what_is_no_checkout_of_snakepit_is_one_line(
    folder: str, word: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["bench", "--snakepit", folder]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert word in err


def test_one_repeat_alone_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "rules", "--repeats", "1"]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "--repeats" in err


def test_a_bench_that_breaks_off_is_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickbench.bench.arms.BACKENDS", {"asyncio": "backends.nowhere"})
    monkeypatch.setattr("tickbench.bench.arms.FANOUT_WAYS", {"asyncio": ("raw",)})
    assert cli.main(["bench", "fanout", "--repeats", "2", "--connections", "2"]) == 1
    err = capfd.readouterr().err
    assert "error: the bench of asyncio has ended" in err
