"""
Planted truth: what the server's record says was sent, dropped, repeated or swapped is what must be counted, exactly.

The truth is worked out here from the record and the protocol's definitions alone. ``make figures-load`` runs all at
full size.
"""

import contextlib
import socket
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.measure.histogram import Histogram
from shared.measure.summary import read_summary
from tests.loadtests.conftest import (
    FULL_SIZE,
    PATIENCE_S,
    WAYS,
    PlantedRun,
    load,
    load_command,
    load_planted,
    planted,
    start,
    window_us,
)
from tests.support.planted_coat import Compressor
from tests.support.planted_law import Law
from tests.support.planted_record import Meta, Send
from tests.support.planted_wire import Tick, frame, tick_text

USERS = 500 if FULL_SIZE else 40
TIMES = ("--warm-up", 1, "--duration", 10) if FULL_SIZE else ("--warm-up", 0.5, "--duration", 2)
RATE_HZ = 20
LOSS = 97 if FULL_SIZE else 53
"""One frame in so many; a short run must have some, whenever its window begins."""
EVERY_WAY = pytest.mark.parametrize("way", WAYS)
PLACED_WITHIN_US = 60_000_000
"""A due time further off places no tick in the window: its sent time does."""


@dataclass
class Truth:
    """What should be counted."""

    received: int = 0
    missing: int = 0
    duplicate: int = 0
    out_of_order: int = 0
    early: int = 0
    clipped: int = 0


def truth_of(sends: list[Send], meta: Meta, window: range) -> Truth:
    """Work out the counts from what was sent, connection by connection."""
    ended_us = {end.connection: end.at_us for end in meta.ends if end.how != "left"}
    ticks = {send.n: send for send in sends if is_in(send, window)}
    by_connection: defaultdict[int, list[Send]] = defaultdict(list)
    for send in sends:
        by_connection[send.connection].append(send)
    truth = Truth()
    for connection, of in by_connection.items():
        got: set[int] = set()
        for send in of:
            if send.n in ticks:
                truth.duplicate += send.n in got
                truth.out_of_order += send.n not in got and bool(got) and send.n < max(got)
                if send.n not in got:
                    truth.early += send.after_us < send.due_us  # 25 ms early: by both clocks, or by none
                    truth.clipped += send.before_us - send.due_us > PLACED_WITHIN_US
            got.add(send.n)
        end_us = ended_us.get(connection, 2**62)
        expected = {n for n, send in ticks.items() if n in got or (n > of[0].n and send.sent_us < end_us)}
        truth.received += len(got & set(ticks))
        truth.missing += len(expected - got)
    return truth


def is_in(send: Send, window: range) -> bool:
    return (send.due_us if abs(send.sent_us - send.due_us) <= PLACED_WITHIN_US else send.sent_us) in window


def counted(run: PlantedRun) -> Truth:
    frames, lateness = run.summary.frames, run.summary.tick_lateness_ms
    return Truth(
        frames.received, frames.missing, frames.duplicate, frames.out_of_order, lateness.early, lateness.clipped
    )


def assert_counts_are_true(run: PlantedRun) -> Truth:
    truth = truth_of(run.sends, run.meta, window_us(run.summary))
    assert counted(run) == truth
    frames = run.summary.frames
    assert frames.expected == truth.received + truth.missing
    assert frames.due == frames.expected + frames.skipped + frames.absent
    assert Histogram.from_summary(run.summary.tick_lateness_ms).count == frames.due
    assert run.summary.tick_rate_hz is not None
    # Everybody comes before the window, so each is due every due time in it, whatever became of them.
    all_due = USERS * run.summary.duration_s * run.summary.tick_rate_hz
    assert frames.due == pytest.approx(all_due, abs=USERS)
    assert run.summary.ticks_came == frames.received / frames.due
    return truth


def wire_bytes(run: PlantedRun, deflate: str) -> int:
    """Return how long all frames of the window were on the wire, where each is whole and has no context."""
    window, compressor = window_us(run.summary), Compressor()
    frames = (
        frame(tick_text(Tick(0, send.n, send.due_us, send.sent_us), 300)) for send in run.sends if is_in(send, window)
    )
    return sum(len(compressor.compress(each) if deflate else each) for each in frames)


@EVERY_WAY
def test_a_loss_of_one_in_a_thousand(travel: dict[str, str], tmp_path: Path) -> None:
    every = 1000 if FULL_SIZE else 101  # a short run has too few frames for one in a thousand
    law = Law(tick_rate_hz=50, drop_every=every, **travel)  # type: ignore[arg-type] # by name
    run = load_planted(law, tmp_path, USERS, *TIMES)
    truth = assert_counts_are_true(run)
    assert truth.missing > 0
    frames = run.summary.frames
    assert frames.bytes_a_frame == pytest.approx((frames.wire_bytes or 0) / frames.received)
    if law.deflate != "own":
        assert frames.wire_bytes == wire_bytes(run, law.deflate)
    else:
        assert 0 < (frames.wire_bytes or 0) < 0.3 * frames.bytes


@EVERY_WAY
def test_repeats_swaps_and_losses(travel: dict[str, str], tmp_path: Path) -> None:
    law = Law(tick_rate_hz=RATE_HZ, drop_every=LOSS, repeat_every=31, swap_every=41, skip_every=43, **travel)  # type: ignore[arg-type] # by name
    truth = assert_counts_are_true(load_planted(law, tmp_path, USERS, *TIMES))
    assert min(truth.missing, truth.duplicate, truth.out_of_order) > 0


def test_early_and_very_late_frames(tmp_path: Path) -> None:
    law = Law(tick_rate_hz=RATE_HZ, early_every=7, early_ms=25, very_late_every=11)
    truth = assert_counts_are_true(load_planted(law, tmp_path, USERS, *TIMES))
    assert min(truth.early, truth.clipped) > 0


@pytest.mark.parametrize("way", WAYS if FULL_SIZE else [*WAYS][:: len(WAYS) - 1])
def test_early_ends(travel: dict[str, str], tmp_path: Path) -> None:
    law = Law(
        tick_rate_hz=RATE_HZ, close_every=3, half_close_every=5, reset_every=7, close_after=30, close_code=1012,
        refuse_every=9, drop_every=53, **travel,  # type: ignore[arg-type] # by name
    )  # fmt: skip
    run = load_planted(law, tmp_path, USERS, *TIMES)
    assert_counts_are_true(run)
    connections, meta = run.summary.connections, run.meta
    ends = [end for end in meta.ends if end.how in {"close", "half_close", "reset"}]
    assert connections.requested == USERS
    assert connections.connected == meta.players
    assert connections.refused == meta.refused
    assert connections.reasons["refused"] == {"HTTP status 503": meta.refused}
    assert connections.closed_early == len(ends)
    assert connections.close_codes == {"1012": sum(end.how == "close" for end in ends)}
    assert connections.reasons["closed_early"] == {
        "close 1012": sum(end.how == "close" for end in ends),
        "end of stream without a close frame": sum(end.how == "half_close" for end in ends),
        "connection reset by peer": sum(end.how == "reset" for end in ends),
    }


def test_two_workers_add_up(tmp_path: Path) -> None:
    law = Law(tick_rate_hz=RATE_HZ, drop_every=LOSS, repeat_every=31, swap_every=41, lateness_ms=3)
    run = load_planted(law, tmp_path, USERS, *TIMES, "--processes", 2)
    assert_counts_are_true(run)
    parts = run.summary.generator.parts
    assert run.summary.generator.workers == len(parts) == 2
    assert sum(part.connected for part in parts) == run.summary.connections.connected == USERS
    summed = Histogram()
    for part in parts:
        assert part.tick_lateness_ms.count > 0
        summed.add(Histogram.from_summary(part.tick_lateness_ms))
    assert summed.summary().hdr == run.summary.tick_lateness_ms.hdr
    assert summed.count == run.summary.tick_lateness_ms.count
    assert summed.early == run.summary.tick_lateness_ms.early


def test_workers_that_were_started_by_themselves(tmp_path: Path) -> None:
    """They know nothing but their master: neither the server's address nor where the summary goes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    worker = [*load_command("--worker", "--master-port", port, "--master-host", "127.0.0.1")]
    worker.remove("--headless")
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            process = stack.enter_context(start(worker, streams=silent))
            stack.callback(process.kill)
        master = ("--master", "--master-bind-port", port, "--expect-workers", 2)
        run = load_planted(Law(tick_rate_hz=RATE_HZ, drop_every=LOSS), tmp_path, USERS, *TIMES, *master)
        assert process.wait(PATIENCE_S) == 0
    assert assert_counts_are_true(run).missing > 0
    assert [part.connected for part in run.summary.generator.parts] == [USERS // 2, USERS // 2]


def test_two_rooms_do_not_mix(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with planted(Law(tick_rate_hz=RATE_HZ, drop_every=53), tmp_path) as server:
        done = load("--host", server.url, "--users", USERS, "--room-size", 7, "--out", out, *TIMES)
    assert done.returncode in {0, 3}, done.stderr
    run = PlantedRun(done.returncode, done.stderr, read_summary(out.read_bytes()), server)
    assert len(set(run.meta.rooms) - {"main"}) == -(-USERS // 7)  # main is where the generator looks first
    assert assert_counts_are_true(run).missing > 0
