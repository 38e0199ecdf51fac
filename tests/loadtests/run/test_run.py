"""Planted truth: a whole load run against a server that errs by a known law must report that law back."""

import signal
import socket
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.measure.histogram import Histogram
from shared.measure.summary import read_summary
from tests.loadtests.conftest import (
    PATIENCE_S,
    PlantedRun,
    load,
    load_command,
    load_planted,
    planted,
    start,
    window_us,
)
from tests.support.planted_server import Law, Send
from tests.support.server import run_server

SHORT = ("--warm-up", 0.5, "--duration", 1.5)
LONGEST_DRAIN_US = 10_000_000


@dataclass
class Accounts:
    """What should be counted, from the server's own record."""

    received: int = 0
    missing: int = 0
    duplicate: int = 0
    out_of_order: int = 0


def true_accounts(run: PlantedRun) -> Accounts:
    window = window_us(run.summary)
    by_connection: defaultdict[int, list[Send]] = defaultdict(list)
    for send in run.sends:
        by_connection[send.connection].append(send)
    ticks = {send.n for send in run.sends if send.due_us in window}
    accounts = Accounts()
    for sends in by_connection.values():
        got: set[int] = set()
        for send in sends:
            if send.due_us in window:
                accounts.duplicate += send.n in got
                accounts.out_of_order += send.n not in got and send.n < max(got)
            got.add(send.n)
        accounts.received += len(got & ticks)
        accounts.missing += len({n for n in ticks - got if n > sends[0].n})
    return accounts


def test_every_frame_is_accounted_for(tmp_path: Path) -> None:
    law = Law(
        lateness_ms=4, drop_every=31, repeat_every=37, swap_every=41, split_every=7, fragment_every=11, space_every=13,
        skip_every=43,
    )  # fmt: skip
    run = load_planted(law, tmp_path, 12, *SHORT)
    frames, truth = run.summary.frames, true_accounts(run)
    window = window_us(run.summary)

    assert truth.missing > 0
    assert truth.duplicate > 0
    assert truth.out_of_order > 0
    assert Accounts(frames.received, frames.missing, frames.duplicate, frames.out_of_order) == truth
    assert frames.expected == truth.received + truth.missing
    assert run.summary.reach == pytest.approx(truth.received / frames.expected)
    assert run.summary.tick_lateness_ms.count == frames.due
    assert run.summary.delivery_ms.count == run.summary.pdv_ms.count == frames.received

    # Due times that were skipped for everybody are not missing. The first or the last of the window may be one.
    ticks = {send.n: send.due_us for send in run.sends}
    (n, due_us), period_us = next(iter(ticks.items())), 1_000_000 // 50
    due = {at for at in range(min(ticks), max(ticks)) if due_us + (at - n) * period_us in window}
    assert run.summary.server.skipped_ticks == len(due - ticks.keys()) > 0

    odd = [send for send in run.sends if law.hits(law.space_every, send.n, send.connection)]
    assert frames.slow_parse == sum(send.due_us in window for send in odd)

    # A server of one's own is loaded although it tells no figures.
    assert run.summary.tick_rate_hz == 50  # as its due times have it
    assert run.summary.server.cpu_percent is None
    assert any("/stats" in warning for warning in run.summary.validity.warnings)


def test_lateness_and_ends_are_reported_back(tmp_path: Path) -> None:
    run = load_planted(Law(lateness_ms=7, close_every=3, close_after=45, refuse_every=6), tmp_path, 20, *SHORT)
    assert_lateness_is_true(run)

    connections = run.summary.connections
    players = {send.connection for send in run.sends}
    assert connections.requested == 20
    assert connections.connected == len(players) == connections.connect_ms.count
    assert connections.refused == 20 - len(players) > 0
    assert connections.timed_out == 0
    assert connections.closed_early == sum(player % 3 == 0 for player in players)
    warnings = " ".join(run.summary.validity.warnings)
    assert f"{connections.refused} x HTTP status 503" in warnings
    assert f"{connections.closed_early} x close 1001" in warnings
    assert run.summary.frames.missing == 0


def assert_lateness_is_true(run: PlantedRun) -> None:
    """
    Check each percentile against the clock right before and right after each send.

    A generator that the machine held up reads some frames together with later ones. It counts them: so many values,
    wherever they were, may be too high.
    """
    window, requested = window_us(run.summary), run.summary.connections.requested
    assert run.summary.tick_rate_hz is not None
    sends: defaultdict[int, list[Send]] = defaultdict(list)
    for send in run.sends:
        sends[send.n].append(send)
    first, period_us = run.sends[0], 1e6 / run.summary.tick_rate_hz
    lowest, highest = Histogram(), Histogram()
    for n in range(min(sends), max(sends)):
        due_us = first.due_us + round((n - first.n) * period_us)
        if due_us not in window:
            continue
        # What the machine kept the server from sending is as late as what it sent next.
        came = sends[next(sent for sent in sorted(sends) if sent >= n)]
        for send in came:
            lowest.record(send.before_us - due_us)
            highest.record(send.after_us - due_us)
        # Who was refused, or is no longer there, hears of it at the end of the run at best.
        lowest.record(window.stop - due_us, requested - len(came))
        highest.record(window.stop - due_us + LONGEST_DRAIN_US, requested - len(came))
    frames = run.summary.frames
    measured = Histogram.from_summary(run.summary.tick_lateness_ms)
    assert measured.count == lowest.count == frames.due
    for percentile in (1, 50, 99, 99.9, 100):
        low = lowest.percentile_us(percentile)
        assert measured.percentile_us(percentile) >= low - max(100, low // 100)
        above = percentile + 100 * frames.coalesced / frames.received
        if above <= 100:
            high = highest.percentile_us(above)
            assert measured.percentile_us(percentile) <= high + max(100, high // 100)


def test_players_play_and_the_server_tells_of_itself(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with run_server("asyncio", "--seed", "1") as server:
        done = load("--host", server.url, "--users", 12, "--scenario", "players", "--out", out, *SHORT)
        rooms = {room["name"]: room for room in server.stats()["rooms"]}
    assert done.returncode in {0, 3}, done.stderr
    summary = read_summary(out.read_bytes())
    assert summary.connections.connected == 12
    assert summary.tick_rate_hz == 20
    assert summary.frames.received > 0
    assert summary.frames.missing == 0
    assert summary.ping_rtt_ms.count > 0
    assert summary.jitter_rfc3550_ms.max is not None
    assert summary.machine.cpus_generator
    assert summary.machine.cpus_server
    assert summary.server.ticks is not None
    assert summary.server.ticks.count == summary.server.ticks.compute_ms.count > 0
    assert not any("errors" in warning for warning in summary.validity.warnings)
    assert sum(room["ticks"] for room in rooms.values()) > 0


def test_without_a_server_one_line_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = load("--host", f"http://127.0.0.1:{port}", "--users", 3)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"no server at 127.0.0.1:{port}: connection refused"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--scenario", "nope"], "invalid choice: 'nope'"), (["--host", "ftp://x"], "ftp://x: not a WebSocket URL")],
)
def test_wrong_usage_is_said_in_one_line(arguments: list[str], words: str) -> None:
    done = load(*arguments)
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]


def test_a_run_that_is_broken_off_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with planted(Law(), tmp_path) as server:
        command = load_command("--host", server.url, "--users", 5, "--duration", 60, "--out", out)
        with start(command, streams={"stderr": subprocess.PIPE}) as process:
            assert process.stderr is not None
            assert any("5 of 5 connected" in line for line in process.stderr)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert stderr.splitlines()[-1] == "the run was broken off: nothing was written"
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
