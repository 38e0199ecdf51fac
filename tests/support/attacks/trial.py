"""
One attack on one server, beside good players: what it did to them, and which promises it broke.

A quiet stretch, the attack, and what comes after: newcomers, memory and descriptors; and the attack again, with a stop
in the midst of it. The bounds are those of the quiet stretch beside it, beyond what others took of the server's time
meanwhile; whoever asks runs once more what broke a promise.
"""

import json
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.support.attacks.bystanders import ENTER_LIMIT_S, Figures
from tests.support.attacks.engine import Attack
from tests.support.attacks.taken import Taken
from tests.support.server import STOP_LIMIT_S, RunningServer

ROOT = Path(__file__).parents[3]

PERIOD_MS = 50.0
"""At 20 ticks a second, the rate of the bounds."""
QUIET_MS = 3 * PERIOD_MS
"""Of the longest silence: a stretch with a longer one is no quiet run."""
QUIET_TRIES = 3
MORE_SILENCE_MS = 2 * PERIOD_MS
MOST_SKIPPED = 3
NEWCOMER_MS = 1000.0
MORE_BYTES = 20 * 1024 * 1024
MORE_FDS = 2
BACK_LIMIT_S = 10.0
"""Until memory and descriptors are what they were."""
MIDST_S = 0.6
"""Until it is stopped, from when the attacker's process is started."""
ANSWER_LIMIT_S = 30.0


class Sizes(NamedTuple):
    """How large a trial is."""

    players: int
    quiet_s: float
    attack_s: float
    after_s: float
    is_full: bool


@dataclass
class Outcome:
    """What one attack did."""

    attack: str
    quiet: Figures = field(default_factory=Figures)
    meanwhile: Figures = field(default_factory=Figures)
    after: Figures = field(default_factory=Figures)
    told: dict[str, Any] = field(default_factory=dict)
    """By the attackers."""
    more_mib: float = 0.0
    """Resident memory, 10 s later at the latest."""
    peak_mib: float = 0.0
    more_fds: int = 0
    taken_ms: float = 0.0
    """By others, of the server's time, during the attack."""
    stop_s: float | None = None
    faults: list[str] = field(default_factory=list)
    """The promises that were broken."""


class Watch:
    """The process of the good players, as its parent has it."""

    def __init__(self, server: RunningServer, players: int) -> None:
        command = [sys.executable, "-m", "tests.support.attacks.bystanders", str(server.address[1]), str(players)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, bufsize=0)
        assert self._answer(ENTER_LIMIT_S + 10) == b"in\n"

    def figures(self) -> Figures:
        """Return what they saw since the last time."""
        assert self._process.stdin
        self._process.stdin.write(b"?\n")
        return Figures(**json.loads(self._answer(ANSWER_LIMIT_S)))

    def end(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream
            stream.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self, limit_s: float) -> bytes:
        assert self._process.stdout
        line, until = b"", time.monotonic() + limit_s
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))
            data = self._process.stdout.read(65536) if ready else b""
            assert data, "the good players do not answer"
            line += data
        return line


@contextmanager
def under_attack(attack: Attack, server: RunningServer, size: int, seconds: float, room: str) -> Iterator[Any]:
    """Have it go on; end it at the end of the block."""
    command = [sys.executable, "-m", "tests.support.attacks", attack.name, str(server.address[1])]
    command += [str(size), str(seconds), room]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


class Held(NamedTuple):
    """What a server and its children hold."""

    rss_bytes: int
    fds: int


def held(server: RunningServer) -> Held:
    rss, fds = 0, 0
    for pid in server.pids():
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            rss += process.memory_info().rss
            fds += process.num_fds()
    return Held(rss, fds)


def try_attack(attack: Attack, server: RunningServer, sizes: Sizes, room: str = "main") -> Outcome:
    """Carry out a trial on a server that was just started; it is stopped then, as an operator does."""
    outcome = Outcome(attack.name)
    size = attack.full if sizes.is_full else attack.short
    with ExitStack() as stack:
        watch = Watch(server, sizes.players)
        stack.callback(watch.end)
        outcome.quiet = quiet_run(watch, sizes.quiet_s)
        before = held(server)
        with Taken(server.pids) as taken, under_attack(attack, server, size, sizes.attack_s, room) as process:
            peak = before.rss_bytes
            until = time.monotonic() + sizes.attack_s + ANSWER_LIMIT_S
            while process.poll() is None and time.monotonic() < until:
                peak = max(peak, held(server).rss_bytes)
                time.sleep(0.1)
            outcome.meanwhile = watch.figures()
            outcome.told = json.loads(process.communicate(timeout=5)[0])
        outcome.taken_ms = taken.all_ms
        outcome.faults += disturbed(attack, outcome.quiet, outcome.meanwhile, taken)
        outcome.peak_mib = (peak - before.rss_bytes) / 2**20
        look_after(outcome, server, watch, before, sizes.after_s)
        with under_attack(attack, server, size, sizes.attack_s + STOP_LIMIT_S, room):
            time.sleep(min(MIDST_S, sizes.attack_s))
            stop(outcome, server)
    judge(outcome)
    return outcome


def quiet_run(watch: Watch, seconds: float) -> Figures:
    """Return what is seen while nothing is wrong: of a few stretches, where the first ones are not quiet, the best."""
    watch.figures()
    stretches: list[Figures] = []
    while len(stretches) < QUIET_TRIES and (not stretches or stretches[-1].silence_ms > QUIET_MS):
        time.sleep(seconds)
        stretches.append(watch.figures())
    return min(stretches, key=lambda figures: figures.silence_ms)


def look_after(outcome: Outcome, server: RunningServer, watch: Watch, before: Held, seconds: float) -> None:
    """See who comes in now, and wait until what was taken is given back."""
    ended = time.monotonic()
    time.sleep(seconds)
    outcome.after = watch.figures()
    while True:
        now = held(server)
        outcome.more_mib, outcome.more_fds = (now.rss_bytes - before.rss_bytes) / 2**20, now.fds - before.fds
        is_back = now.rss_bytes - before.rss_bytes <= MORE_BYTES and outcome.more_fds <= MORE_FDS
        if is_back or time.monotonic() > ended + BACK_LIMIT_S:
            return
        time.sleep(0.2)


def stop(outcome: Outcome, server: RunningServer) -> None:
    """Stop the server, within its time or in the end by force."""
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    try:
        status = server.wait(STOP_LIMIT_S + 15)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.wait()
        outcome.faults.append(f"SIGTERM: it still ran {STOP_LIMIT_S + 15:.0f} s later")
        return
    outcome.stop_s = time.monotonic() - began
    if status or outcome.stop_s > STOP_LIMIT_S:
        outcome.faults.append(f"SIGTERM: exit {status} after {outcome.stop_s:.1f} s")


def judge(outcome: Outcome) -> None:
    """Note which promises were broken after the attack."""
    after = outcome.after
    outcome.faults += kept_out(after, 0.0, " after it")
    if after.closed:
        outcome.faults.append(f"closed after it: {len(after.closed)} good players, {after.closed[0]}")
    if outcome.more_mib * 2**20 > MORE_BYTES:
        outcome.faults.append(f"memory: {outcome.more_mib:.0f} MiB more, 10 s later")
    if outcome.more_fds > MORE_FDS:
        outcome.faults.append(f"descriptors: {outcome.more_fds} more, 10 s later")


def disturbed(attack: Attack, quiet: Figures, during: Figures, taken: Taken) -> list[str]:
    """Return what good players and newcomers suffered, beyond what others took of the server's time."""
    faults = kept_out(during, taken.within_ms(max(during.newcomers_ms, default=0.0)), "")
    if attack.may_refuse:
        faults = [fault for fault in faults if "refused" not in fault]
    if during.silence_ms - taken.within_ms(during.silence_ms) > quiet.silence_ms + MORE_SILENCE_MS:
        faults.append(f"silence: {during.silence_ms:.0f} ms, {quiet.silence_ms:.0f} before")
    if during.skipped - taken.all_ms // PERIOD_MS > quiet.skipped + MOST_SKIPPED:
        faults.append(f"skipped: {during.skipped} due times, {quiet.skipped} before")
    if during.closed:
        faults.append(f"closed: {len(during.closed)} good players, {during.closed[0]}")
    return faults


def kept_out(figures: Figures, taken_ms: float, when: str) -> list[str]:
    """Return what newcomers suffered."""
    faults = []
    if (worst := max(figures.newcomers_ms, default=0.0)) - taken_ms > NEWCOMER_MS:
        faults.append(f"newcomer{when}: {worst:.0f} ms")
    if figures.refusals:
        faults.append(f"newcomer{when}: {len(figures.refusals)} refused, {figures.refusals[0]}")
    return faults
