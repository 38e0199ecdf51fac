"""
Load from several hosts, each in a network namespace of its own: figures as on one, with a clock that differs as well.

The hosts are those of tests/support/hosts.py. ``a`` has the server and the master, ``b`` has the clock of ``a``, ``c``
another monotonic clock and another boot id.
"""

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.measure.histogram import Histogram, HistogramSummary
from shared.measure.summary import ClockFigures, LoadSummary, read_summary
from tests.loadtests.account.test_planted_counts import Truth, counted, truth_of
from tests.loadtests.account.test_planted_lateness import nearest_rank
from tests.loadtests.conftest import (
    FULL_SIZE,
    IMPORTED,
    PATIENCE_S,
    Planted,
    PlantedRun,
    load_command,
    load_planted,
    planted,
    window_us,
)
from tests.support.hosts import UNSHARE, Host, hosts
from tests.support.planted_law import Law

pytestmark = [pytest.mark.unshare(*UNSHARE), pytest.mark.xdist_group("cores")]

USERS = 40
RATE_HZ = 20
TIMES = ("--warm-up", 1.5, "--duration", 2)
SHIFT_US = 7_000_000
"""How far the clock of the server is ahead, by which it states when ticks are due: that is to be found by pings."""
LAW = Law(
    tick_rate_hz=RATE_HZ,
    lateness={"kind": "two_peaks", "ms": [5, 25], "share": 0.2, "per": "frame"},
    drop_every=40,  # one of each connection in the 40 ticks of the window
    repeat_every=8,  # five, one of which is dropped
    stats=True,
    pongs=True,
    clock_shift_us=SHIFT_US,
)
PLANTED_US = {50: 5_000, 90: 25_000, 99: 55_000}
"""Percentiles of the lateness: what is dropped is as late as the next frame, which is due 50 ms later."""


@contextmanager
def spread(server: Planted, folder: Path, master: Host, workers: Sequence[Host], *arguments: object) -> Iterator[Path]:
    """Load a server by a master and workers in hosts of their own; yield where the master's words are to come."""
    said = folder / f"master-{master.name}.log"
    with ExitStack() as stack:

        def run(host: Host, log: Path, command: list[str]) -> subprocess.Popen[str]:
            stderr, modules = stack.enter_context(log.open("w")), None if FULL_SIZE else IMPORTED
            started = host.python(*command[1:], modules=modules, stdout=subprocess.DEVNULL, stderr=stderr)
            process = stack.enter_context(started)
            stack.callback(process.kill)
            return process

        for host in workers:
            words = load_command("--worker", "--master-host", master.address)
            words.remove("--headless")
            run(host, folder / f"worker-{host.name}.log", words)
        wish = ("--master", "--master-bind-host", master.address, "--expect-workers", len(workers), *arguments)
        conductor = run(master, said, load_command("--host", server.url, "--out", folder / "out.json", *wish))
        yield said
        conductor.wait(PATIENCE_S)
        assert conductor.returncode in {0, 3}, said.read_text()


def true_lateness_us(run: PlantedRun) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how late what was due in the window came, sorted: by the clock before each send, and by that after it."""
    window, started_us = _by_our_clock(window_us(run.summary)), run.meta.started_us
    sends: defaultdict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for send in run.sends:
        sends[send.connection].setdefault(send.n, (send.before_us, send.after_us))
    due = [n for n in range(max(max(of) for of in sends.values())) if started_us + LAW.due_us(n) in window]
    late = []
    for of in sends.values():
        for n in due:
            came = next(of[later] for later in range(n, max(of) + 1) if later in of)
            late.append([us - started_us - LAW.due_us(n) for us in came])
    lowest, highest = np.sort(np.array(late, np.int64), axis=0).T
    return lowest, highest


def true_counts(run: PlantedRun) -> Truth:
    sends = [send._replace(due_us=send.due_us - SHIFT_US, sent_us=send.sent_us - SHIFT_US) for send in run.sends]
    return truth_of(sends, run.meta, _by_our_clock(window_us(run.summary)))


def _by_our_clock(window: range) -> range:
    return range(window.start - SHIFT_US, window.stop - SHIFT_US)


def wrong_percentiles(run: PlantedRun) -> list[str]:
    """Return which percentiles are not between the truths of the two clocks, widened by what the summary allows."""
    lowest, highest = true_lateness_us(run)
    measured, summary = Histogram.from_summary(run.summary.tick_lateness_ms), run.summary
    assert measured.count == len(lowest) == summary.frames.due
    wrong = []
    for percentile, planted_us in PLANTED_US.items():
        low = nearest_rank(lowest, percentile)
        assert low >= planted_us, "it sends nothing too early"
        high = nearest_rank(highest, min(100, percentile + 100 * summary.frames.coalesced / len(lowest)))
        found = measured.percentile_us(percentile)
        slack_us = uncertain_us(summary) + max(100, low // 100)
        if not low - slack_us <= found <= high + slack_us:
            wrong.append(f"p{percentile}: {found} us is not in {low} to {high} us, by {slack_us:.0f} us")
    return wrong


def clock_of(summary: LoadSummary) -> ClockFigures:
    assert summary.clock is not None
    return summary.clock


def uncertain_us(summary: LoadSummary) -> float:
    uncertainty_ms = clock_of(summary).uncertainty_ms
    assert uncertainty_ms is not None
    return 1000 * uncertainty_ms


def p50_us(lateness_ms: HistogramSummary) -> int:
    return Histogram.from_summary(lateness_ms).percentile_us(50)


def test_figures_from_three_hosts_are_those_from_one(tmp_path: Path) -> None:
    apart, beside = tmp_path / "apart", tmp_path / "beside"
    for folder in (apart, beside):
        folder.mkdir()
    with hosts("a", "b", "c", differing=["c"]) as (a, b, c):
        with planted(LAW, apart, host=a) as server, spread(server, apart, a, [b, c], "--users", USERS, *TIMES):
            alone = load_planted(LAW, beside, USERS, *TIMES, "--processes", 2)
        summary = read_summary((apart / "out.json").read_bytes())
    run = PlantedRun(0, "", summary, server)

    for each in (run, alone):
        assert counted(each) == true_counts(each)
        assert each.summary.connections.connected == USERS
        assert wrong_percentiles(each) == []
    if not (run.meta.overrun or alone.meta.overrun):  # else the machine kept one of the servers from sending
        assert counted(run) == counted(alone)
        assert (run.summary.frames.missing, run.summary.frames.duplicate) == (USERS, 4 * USERS)

    # The clock of one host is known, that of the other is estimated; each says so, and keeps to its own bound.
    parts = {part.host: part for part in summary.generator.parts}
    assert {host: part.connected for host, part in parts.items()} == {"b": USERS // 2, "c": USERS // 2}
    clocks = {host: part.clock for host, part in parts.items() if part.clock is not None}
    assert {host: clock.source for host, clock in clocks.items()} == {"b": "same host", "c": "pings"}
    assert clocks["b"].uncertainty_ms == 0
    assert 0 < uncertain_us(summary) < PLANTED_US[50] / 2
    assert clock_of(summary).source == "pings"
    assert clock_of(summary).uncertainty_ms == clocks["c"].uncertainty_ms
    assert any("the server is on another host" in warning for warning in summary.validity.warnings)
    lowest, highest = true_lateness_us(run)
    for part in parts.values():  # 80 of 100 frames are in the first peak, whoever they came to
        slack_us = 100 + uncertain_us(summary)
        between = nearest_rank(lowest, 30) - slack_us, nearest_rank(highest, 70) + slack_us
        assert between[0] <= p50_us(part.tick_lateness_ms) <= between[1]
    assert {part.clock.source for part in alone.summary.generator.parts if part.clock} == {"same host"}


def test_a_worker_that_is_cut_off_is_a_reason_and_the_master_ends(tmp_path: Path) -> None:
    law = Law(tick_rate_hz=RATE_HZ, stats=True, pongs=True)
    with (
        hosts("a", "b", "c", differing=["c"]) as (a, b, c),
        planted(law, tmp_path, host=a) as server,
        spread(server, tmp_path, a, [b, c], "--users", 20, *TIMES) as said,
    ):
        deadline_s = time.monotonic() + PATIENCE_S
        while "20 of 20 connected" not in said.read_text() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        time.sleep(1.8)  # the window is open
        c.cut_off()
    summary = read_summary((tmp_path / "out.json").read_bytes())
    (reason,) = [reason for reason in summary.validity.reasons if "workers were lost" in reason]
    assert reason.startswith("1 of the workers were lost, with all that they had measured: c_")
    assert reason in summary.validity.generator
    assert not any("not started" in reason for reason in summary.validity.reasons)
    assert [part.clock.source for part in summary.generator.parts if part.clock] == ["same host"]
    assert summary.connections.connected == 10
    assert summary.frames.missing == 0, "of whom is left, all came"


def test_a_server_on_all_addresses_is_loaded_from_another_host(tmp_path: Path) -> None:
    """As a user does it; and who comes from another host says from which page, as browsers do."""
    out, origin = tmp_path / "out.json", "https://game.example"
    pipe, modules = subprocess.PIPE, None if FULL_SIZE else ("tickbench.verbs.load",)
    with ExitStack() as stack:
        a, c = stack.enter_context(hosts("a", "c", differing=["c"]))
        serve = ("serve", "asyncio", "--host", "0.0.0.0", "--port", 8000, "--origin", origin)  # noqa: S104 - in there
        server = stack.enter_context(a.start(sys.executable, "-m", "tickbench", *serve, stdout=pipe))
        stack.callback(server.kill)
        assert server.stdout is not None
        assert server.stdout.readline() == "tickbench asyncio listening on http://0.0.0.0:8000\n"
        wish = ("--users", 10, "--warm-up", 0.5, "--duration", 1, "--header", f"Origin: {origin}", "--out", out)
        words = ("-m", "tickbench", "load", f"http://{a.address}:8000", *wish)
        load = stack.enter_context(c.python(*words, modules=modules, stdout=pipe, stderr=pipe))
        stack.callback(load.kill)
        said = load.communicate(timeout=PATIENCE_S)
    assert load.returncode in {0, 3}, said
    summary = read_summary(out.read_bytes())
    assert summary.connections.connected == 10
    assert summary.frames.received > 0
    assert summary.frames.missing == 0
    assert summary.server.cpu_percent is not None, "it tells itself"
    assert summary.machine.cpus_server is None, "the cores of that host can't be seen"
    assert clock_of(summary).source == "pings"
    assert 0 < uncertain_us(summary) < 50_000
    assert any("the server is on another host" in warning for warning in summary.validity.warnings)
