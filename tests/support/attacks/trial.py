"""
One attack on one server, beside good players: what it did to them, and which promises it broke.

A quiet stretch, the attack, and what comes after: newcomers, memory and descriptors; and the attack again, with a stop
in the midst of it. The bounds are those of the quiet stretch beside it, and what others take of the server's core
excuses nothing; whoever asks runs once more what broke a promise, and tells of both.
"""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.support.attacks.apart import apart, taken_ms
from tests.support.attacks.bystanders import ENTER_LIMIT_S, Figures, Refusal
from tests.support.attacks.engine import Attack
from tests.support.server import STOP_LIMIT_S, RunningServer
from tests.support.warm import python

ROOT = Path(__file__).parents[3]
OF_BYSTANDERS = ("loadtests.receive.stamps", "tests.support.swarm")
OF_ATTACKERS = ("tests.support.attacks.kinds",)
"""What they import, and one for all has imported."""

PERIOD_MS = 50.0
"""At 20 ticks a second, the rate of the bounds."""
QUIET_MS = 3 * PERIOD_MS
"""Of the longest silence: a stretch with a longer one is no quiet run."""
QUIET_TRIES = 3
MORE_SILENCE_MS = 2 * PERIOD_MS
MOST_SKIPPED = 3
NEWCOMER_MS = 1000.0
NEWCOMER_KNOWN_S = 3.0
"""By then somebody has tried whose fate is known: who waits for more than a second is counted."""
MORE_MB = 20.0
MORE_FDS = 2
OVER_BUDGET = ("status 503", "close 1013")
BACK_LIMIT_S = 10.0
"""Until memory and descriptors are what they were."""
MIDST_S = 0.6
"""Until it is stopped, from when the attacker's process is started, beyond the time in which they come."""
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
    more_mb: float = 0.0
    """Resident memory, 10 s later at the latest, in millions of bytes."""
    peak_mb: float = 0.0
    more_fds: int = 0
    taken_ms: float = 0.0
    """Of the server's time during the attack, by others or by its own threads and children from each other."""
    stop_s: float | None = None
    faults: list[str] = field(default_factory=list)
    """The promises that were broken."""


class Watch:
    """The process of the good players, as its parent has it."""

    def __init__(self, server: RunningServer, players: int) -> None:
        command = ["-m", "tests.support.attacks.bystanders", str(server.address[1]), str(players)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
        self._process = python(command, modules=OF_BYSTANDERS, env=os.environ, cwd=ROOT, **pipes)
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
def under_attack(
    attack: Attack, server: RunningServer, size: int, seconds: float, room: str, more_s: float = 0.0
) -> Iterator[Any]:
    """Have it go on, and end it at the end of the block; ``more_s``: for which it stays as it is in the end."""
    command = ["-m", "tests.support.attacks", attack.name, str(server.address[1])]
    command += [str(size), str(seconds), str(more_s), room]
    with python(command, modules=OF_ATTACKERS, env=os.environ, stdout=subprocess.PIPE, cwd=ROOT) as process:
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
        stack.enter_context(apart(server.pids(), comes_first=not sizes.is_full))
        watch = Watch(server, sizes.players)
        stack.callback(watch.end)
        outcome.quiet = quiet_run(watch, sizes.quiet_s)
        before, taken_before_ms = held(server), taken_ms(server.pids())
        with under_attack(attack, server, size, sizes.attack_s, room) as process:
            peak = before.rss_bytes
            until = time.monotonic() + sizes.attack_s + ANSWER_LIMIT_S
            while process.poll() is None and time.monotonic() < until:
                peak = max(peak, held(server).rss_bytes)
                time.sleep(0.1)
            outcome.meanwhile = watch.figures()
            outcome.told = json.loads(process.communicate(timeout=5)[0])
        outcome.taken_ms = taken_ms(server.pids()) - taken_before_ms
        outcome.faults += disturbed(attack, outcome.quiet, outcome.meanwhile, sizes.attack_s)
        outcome.peak_mb = (peak - before.rss_bytes) / 1e6
        look_after(outcome, server, watch, before, sizes.after_s)
        with under_attack(attack, server, size, sizes.attack_s, room, more_s=STOP_LIMIT_S):
            time.sleep(MIDST_S + max(attack.spread, attack.strike) * sizes.attack_s)
            stop(outcome, server)
    judge(outcome, leaves_memory=attack.leaves_memory)
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
    while not (outcome.after.newcomers_ms or outcome.after.refusals) and time.monotonic() < ended + NEWCOMER_KNOWN_S:
        time.sleep(seconds)  # the only one was still on his way
        outcome.after = watch.figures()
    while True:
        now = held(server)
        outcome.more_mb, outcome.more_fds = (now.rss_bytes - before.rss_bytes) / 1e6, now.fds - before.fds
        is_back = outcome.more_mb <= MORE_MB and outcome.more_fds <= MORE_FDS
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


def judge(outcome: Outcome, *, leaves_memory: bool = False) -> None:
    """Note which promises were broken after the attack."""
    outcome.faults += kept_out(outcome.after, " after it")
    outcome.faults += thrown_out(outcome.after, " after it")
    if outcome.more_mb > MORE_MB and not leaves_memory:
        outcome.faults.append(f"memory: {outcome.more_mb:.0f} MB more, {BACK_LIMIT_S:.0f} s later")
    if outcome.more_fds > MORE_FDS:
        outcome.faults.append(f"descriptors: {outcome.more_fds} more, {BACK_LIMIT_S:.0f} s later")


def disturbed(attack: Attack, quiet: Figures, during: Figures, attack_s: float) -> list[str]:
    """Return what good players and newcomers suffered while it went on."""
    if attack.may_refuse:
        struck_s = attack.strike * attack_s
        lawful = [refusal for refusal in during.refusals if may_be(Refusal(*refusal), struck_s)]
        # Whoever was turned away as promised counts as one who was served at once.
        waits_ms = during.newcomers_ms + [Refusal(*refusal).after_ms for refusal in lawful]
        unlawful = [refusal for refusal in during.refusals if refusal not in lawful]
        during = replace(during, newcomers_ms=waits_ms, refusals=unlawful)
    faults = kept_out(during, "")
    if during.silence_ms > quiet.silence_ms + MORE_SILENCE_MS:
        faults.append(f"silence: {during.silence_ms:.0f} ms, {quiet.silence_ms:.0f} before")
    if during.skipped > quiet.skipped + MOST_SKIPPED:
        faults.append(f"skipped: {during.skipped} due times, {quiet.skipped} before")
    return faults + thrown_out(during, "")


def may_be(refusal: Refusal, struck_s: float) -> bool:
    """Say whether that is how the tick budget turns somebody away: at once, and not before all have come in."""
    return refusal.how in OVER_BUDGET and refusal.after_ms <= NEWCOMER_MS and refusal.at_s >= struck_s


def kept_out(figures: Figures, when: str) -> list[str]:
    """Return what newcomers suffered."""
    faults = [] if figures.newcomers_ms or figures.refusals else [f"newcomer{when}: none is known to have come in"]
    if (worst := max(figures.newcomers_ms, default=0.0)) > NEWCOMER_MS:
        faults.append(f"newcomer{when}: {worst:.0f} ms")
    if figures.refusals:
        _, how, after_ms = figures.refusals[0]
        faults.append(f"newcomer{when}: {len(figures.refusals)} refused, {how} after {after_ms:.0f} ms")
    return faults


def thrown_out(figures: Figures, when: str) -> list[str]:
    """Return which good players are no longer in."""
    return [f"closed{when}: {len(figures.closed)} good players, {figures.closed[0]}"] if figures.closed else []
