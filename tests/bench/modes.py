"""
What the loop designs cost, in turns: a light tick with many connections, and a heavy one beside a light one.

``python -m tests.bench.modes light [--repeats 6] [--connections 1000]``: p99 of the tick lateness of each mode to that
of ``managed`` in the same round, and the frames that did not arrive. ``python -m tests.bench.modes heavy [--steps N]
[--connections 200]``: how much later pings, tick starts and deliveries are with a heavy tick than with a light one. The
server and its children have the first core, the generator the last one. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.loops.modes import MODES
from shared.measure.summary import LoadSummary, read_summary
from tests.conftest import ARMS, Arm
from tests.support.server import RunningServer, run_server
from tickbench.bench.ratios import estimate, ratios

HEAVY_STEPS = 44_000
"""Of the bots' search: about 30 ms a tick on the machine of the README's table."""
FIELD = ("--field", "200x100", "--bots", "10", "--seed", "5", "--tick-budget", "0")
WARM_UP_S = 4


@dataclass(frozen=True)
class Outcome:
    """One run; times are p99 in milliseconds, but for ``compute_ms``, the median."""

    backend: str
    mode: str
    steps: int
    connections: int
    lateness_ms: float
    start_lateness_ms: float
    delivery_ms: float
    ping_ms: float
    compute_ms: float
    cpu_percent: float
    expected: int
    missing: int
    skipped_ticks: int
    reasons: tuple[str, ...]


@contextmanager
def on_the_first_core(arm: Arm, *flags: str) -> Iterator[RunningServer]:
    """Serve from the first core, with all child processes; this process has the last one meanwhile."""
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usable)})  # what we start inherits it
    try:
        with run_server(arm.backend, "--mode", arm.mode, *flags) as server:
            os.sched_setaffinity(0, {max(usable)})
            yield server
    finally:
        os.sched_setaffinity(0, usable)


def measure(arm: Arm, steps: int, connections: int, seconds: float) -> Outcome:
    nice = ("--worker-nice", "10") if arm.mode == "process" else ()
    with (
        tempfile.TemporaryDirectory() as folder,
        on_the_first_core(arm, *FIELD, "--bot-steps", str(steps), *nice) as server,
    ):
        out = Path(folder) / "summary.json"
        command = [sys.executable, "-m", "tickbench", "load", server.url, "--users", str(connections)]
        command += ["--warm-up", str(WARM_UP_S), "--duration", str(seconds), "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 120)
        if done.returncode not in {0, 3}:
            sys.exit(f"a load run ended with {done.returncode}: {done.stderr.strip()}")
        return outcome(arm, steps, read_summary(out.read_bytes()))


def outcome(arm: Arm, steps: int, summary: LoadSummary) -> Outcome:
    ticks = summary.server.ticks
    if ticks is None or summary.ping_rtt_ms is None:
        sys.exit("the server does not tell of its ticks")
    return Outcome(
        backend=arm.backend,
        mode=arm.mode,
        steps=steps,
        connections=summary.connections.connected,
        lateness_ms=summary.tick_lateness_ms.p99 or 0,
        start_lateness_ms=ticks.start_lateness_ms.p99 or 0,
        delivery_ms=summary.delivery_ms.p99 or 0,
        ping_ms=summary.ping_rtt_ms.p99 or 0,
        compute_ms=ticks.compute_ms.p50 or 0,
        cpu_percent=summary.server.cpu_percent or 0,
        expected=summary.frames.expected,
        missing=summary.frames.missing,
        skipped_ticks=ticks.skipped_ticks,
        reasons=tuple(summary.validity.reasons),
    )


def show(it: Outcome) -> None:
    tick = "heavy" if it.steps else "light"
    verdict = f"NOT VALID {it.reasons}" if it.reasons else "valid"
    sys.stdout.write(
        f"{it.backend:7} {it.mode:9} {tick}: p99 lateness {it.lateness_ms:6.2f}, start {it.start_lateness_ms:6.2f}, "
        f"delivery {it.delivery_ms:5.2f}, ping {it.ping_ms:6.2f} ms; compute p50 {it.compute_ms:5.2f} ms, CPU "
        f"{it.cpu_percent:3.0f} %, missing {it.missing} of {it.expected}, skipped {it.skipped_ticks}, {verdict}\n"
    )
    sys.stdout.flush()


def of(outcomes: list[Outcome], arm: Arm, steps: int, figure: Callable[[Outcome], float]) -> list[float]:
    return [figure(it) for it in outcomes if (it.backend, it.mode, it.steps) == (arm.backend, arm.mode, steps)]


def conclude_light(outcomes: list[Outcome], arms: list[Arm]) -> None:
    for arm in arms:
        mine, base = (of(outcomes, a, 0, lambda it: it.lateness_ms) for a in (arm, arm._replace(mode=MODES[0])))
        missing = sum(of(outcomes, arm, 0, lambda it: it.missing))
        expected = sum(of(outcomes, arm, 0, lambda it: it.expected))
        ratio, own = estimate(ratios(mine, base)), estimate(mine)
        sys.stdout.write(
            f"{arm.backend:7} {arm.mode:9}: lateness p99 {own.median:5.2f} ms [{own.low:.2f}-{own.high:.2f}], to "
            f"{MODES[0]} {ratio.median:.3f} [{ratio.low:.3f}-{ratio.high:.3f}]; {missing} of {expected} missing\n"
        )


def conclude_heavy(outcomes: list[Outcome], arms: list[Arm], steps: int) -> None:
    figures: dict[str, Callable[[Outcome], float]] = {
        "ping": lambda it: it.ping_ms,
        "start": lambda it: it.start_lateness_ms,
        "delivery": lambda it: it.delivery_ms,
        "lateness": lambda it: it.lateness_ms,
    }
    for arm in arms:
        words = []
        for name, figure in figures.items():
            heavy, light = of(outcomes, arm, steps, figure), of(outcomes, arm, 0, figure)
            ratio = estimate(ratios(heavy, light))
            words.append(
                f"{name} {estimate(light).median:.2f} -> {estimate(heavy).median:.2f} ms, {ratio.median:.2f} times "
                f"[{ratio.low:.2f}-{ratio.high:.2f}]"
            )
        sys.stdout.write(f"{arm.backend:7} {arm.mode:9}: {'; '.join(words)}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="What the loop designs cost, in turns.")
    parser.add_argument("tick", choices=["light", "heavy"])
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--connections", type=int, help="1000 with light ticks, 200 with heavy ones")
    parser.add_argument("--steps", type=int, default=HEAVY_STEPS, help="of the bots' search in a heavy tick")
    parser.add_argument("--arms", help="such as asyncio-process,gevent-process; all by default")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path, help="where all runs are written")
    asked = parser.parse_args()
    is_heavy = asked.tick == "heavy"
    plain = [arm for arm in ARMS if arm.is_plain]
    arms = [arm for arm in plain if not asked.arms or arm.name in asked.arms.split(",")]
    if not is_heavy:  # what the others are compared with
        bases = {arm._replace(mode=MODES[0]) for arm in arms}
        arms = [arm for arm in plain if arm in {*arms, *bases}]
    connections = asked.connections or (200 if is_heavy else 1000)
    outcomes: list[Outcome] = []
    for repeat in range(asked.repeats):
        turns = [(arm, steps) for arm in arms for steps in ((0, asked.steps) if is_heavy else (0,))]
        for arm, steps in turns if repeat % 2 == 0 else reversed(turns):
            outcomes.append(measure(arm, steps, connections, asked.seconds))
            show(outcomes[-1])
            if asked.json:
                asked.json.write_text(json.dumps([asdict(each) for each in outcomes], indent=1) + "\n")
    if is_heavy:
        conclude_heavy(outcomes, arms, asked.steps)
    else:
        conclude_light(outcomes, arms)


if __name__ == "__main__":
    main()
