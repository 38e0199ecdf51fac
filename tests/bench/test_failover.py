import subprocess
import sys

import msgspec
import psutil

from shared.measure.histogram import Histogram
from shared.measure.summary import ReturnFigures
from tests.bench.deploy import lines as deploy_lines
from tests.bench.failover import Kill, left_behind, lines
from tests.shared.measure.test_summary import full_example


def returns(*silences_s: float, gone: int = 0, away: int = 0, missed: int = 0) -> ReturnFigures:
    silence = Histogram()
    for silence_s in silences_s:
        silence.record(round(silence_s * 1e6))
    return ReturnFigures(
        cut=len(silences_s) + gone + away,
        back=len(silences_s),
        gone=gone,
        away=away,
        silence_ms=silence.summary(),
        most_connects_per_second=7,
        rooms_spared=5,
        rooms_spared_missed=missed,
        rooms_spared_skipped=0,
    )


def test_the_silences_of_all_kills_are_put_together() -> None:
    kills = [Kill("server", 4711, returns(1.0, 2.0), 3, 1), Kill("server", 4712, returns(4.0, gone=1, missed=2), 0, 0)]
    said = list(lines(kills, []))
    assert said[2] == "| server | 2 | 2 | 0 | 0 | 2.00 | 3 | 3 | 1 | 5 | 0 | 0 |"
    assert said[4:] == [
        "silence of a player: p50 2.00 s, p99 4.00 s, max 4.00 s (3 returns)",
        "gone for good: 1 of 4 who were cut off",
        "still away at the end of a run: 0",
        "frames missing: 3, of these 3 on connections that were not cut off; twice 1",
        "rooms elsewhere that lost a frame: 2 of 10",
        "processes left behind: 0",
    ]


def test_who_still_runs_is_left_behind() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        seen = {psutil.Process(child.pid)}
        assert left_behind(seen) == [child.pid]
        child.kill()
    assert left_behind(seen) == []


def test_a_deploy_that_nobody_noticed_says_so() -> None:
    summary = msgspec.structs.replace(full_example(), returns=returns())
    said = list(deploy_lines(summary, 31.26, 4))
    assert said[0].startswith("4 servers restarted in 31.3 s, 0 connections cut: ")
    assert said[1:4] == [
        "refused for good: 0 of 0 users; still away at the end: 0",
        "silence of a player: nobody came back",
        "most connects in a second: 7",
    ]
