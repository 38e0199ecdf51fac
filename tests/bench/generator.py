"""
What a frame costs the generator, and beside it, in turns against the same kind of server, the usual way and the least.

``python -m tests.bench.generator [--repeats 5] [--users 3000,5000] [--usual 300] [--seconds 10] [--json FILE]``, or
with ``--travel`` how many frames it carries that travel as those of browsers do: compressed, with contexts and without,
through TLS, and both. The planted server feeds from the first core, the generator has the last one. Each line is one
run; the truth beside a claimed lateness is the server's own clock right before each send. Nothing else should run
meanwhile.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from shared.measure.summary import read_summary
from tests.loadtests.conftest import Planted, cores, load_command, planted
from tests.support.certificates import Authority
from tests.support.planted_law import Law

RATE_HZ = 20
PAD_BYTES = 350
"""With the head, about the 430 bytes of a frame of the game."""
TRAVEL = {
    "as they are": ("", False, 60_000),
    "contexts": ("shared", False, 50_000),
    "no contexts": ("none", False, 50_000),
    "TLS": ("", True, 40_000),
    "TLS, contexts": ("shared", True, 30_000),
    "TLS, no contexts": ("none", True, 30_000),
}
"""How frames travel: how contexts are kept, whether through TLS, and how many frames a second that is to carry."""
USUAL = Path(__file__).with_name("usual_locustfile.py")
BARE = Path(__file__).with_name("bare_reader.py")


@dataclass(frozen=True)
class Outcome:
    """One run; lateness in milliseconds, as the generator claims it and as the server knows it."""

    way: str
    users: int
    us_per_frame: float
    frames_per_second: float
    cpu_percent: float
    true_p50_ms: float
    true_p99_ms: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    reach: float | None = None
    coalesced_percent: float | None = None
    valid: bool | None = None
    reasons: tuple[str, ...] = ()
    server_overruns: int = 0


def ours(users: int, seconds: float, way: str = "ours") -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        out, travels = Path(folder) / "out.json", law()
        if way != "ours":
            deflate, secure = TRAVEL[way][:2]
            certificate = Authority(Path(folder)).certify("bench", "IP:127.0.0.1") if secure else None
            travels = replace(travels, deflate=deflate, tls=str(certificate.both) if certificate else "")
        with planted(travels, Path(folder), pinned=True) as server:
            arguments = ("--host", server.url, "--insecure", "--users", users, "--spawn-rate", 500, "--warm-up", 3)
            run([*load_command(*arguments, "--duration", seconds, "--out", out)], seconds + users / 1000)
        summary = read_summary(out.read_bytes())
        p50_ms, p99_ms = truth(server)
        frames, lateness = summary.frames, summary.tick_lateness_ms
        return Outcome(
            way=way,
            users=users,
            us_per_frame=summary.generator.us_per_frame or 0,
            frames_per_second=frames.per_second,
            cpu_percent=summary.generator.cpu_percent,
            p50_ms=lateness.p50,
            p99_ms=lateness.p99,
            true_p50_ms=p50_ms,
            true_p99_ms=p99_ms,
            reach=summary.reach,
            coalesced_percent=100 * frames.coalesced / max(1, frames.received),
            valid=summary.validity.ok,
            reasons=tuple(summary.validity.reasons),
            server_overruns=len(server.meta().overrun),
        )


def travel(asked: argparse.Namespace) -> None:
    """Run each way of travelling at the rate that it shall carry, in turns."""
    outcomes: list[Outcome] = []
    for repeat in range(asked.repeats):
        ways = [way for way in TRAVEL if asked.way in (None, way)]
        for way in ways if repeat % 2 == 0 else reversed(ways):
            users = asked.share * TRAVEL[way][2] // (100 * RATE_HZ)
            outcomes.append(ours(users, asked.seconds, way))
            show(outcomes[-1])
            save(asked.json, outcomes)
    for way in TRAVEL:
        rates = [outcome.frames_per_second for outcome in outcomes if outcome.way == way and outcome.valid]
        if rates:
            sys.stdout.write(f"{way}: valid at a median of {statistics.median(rates):,.0f} frames/s\n")


def save(path: Path | None, outcomes: list[Outcome]) -> None:
    if path is not None:
        path.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n")


def usual(users: int, seconds: float) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        with planted(law(), Path(folder), pinned=True) as server:
            command = [sys.executable, "-m", "locust", "-f", str(USUAL), "--headless", "--host", server.url]
            command += ["--users", str(users), "--spawn-rate", "100", "--only-summary"]
            line = run(command, seconds + users / 50, USUAL_SECONDS=str(seconds))
        claimed = json.loads(line)
        del claimed["frames"]
        p50_ms, p99_ms = truth(server)
        return Outcome(way="usual", users=users, true_p50_ms=p50_ms, true_p99_ms=p99_ms, **claimed)


def bare(users: int, seconds: float) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        with planted(law(), Path(folder), pinned=True) as server:
            command = [sys.executable, str(BARE), "127.0.0.1", str(server.port), str(users), str(seconds)]
            line = run(command, seconds + users / 100)
        p50_ms, p99_ms = truth(server)
        return Outcome(way="bare", users=users, true_p50_ms=p50_ms, true_p99_ms=p99_ms, **json.loads(line))


def law() -> Law:
    return Law(tick_rate_hz=RATE_HZ, pad_bytes=PAD_BYTES)


def run(command: list[str], seconds: float, **environment: str) -> str:
    """Run a generator on the last core to its end; return the last line that it prints."""
    done = subprocess.run(
        [*cores(pinned=True)[1], *command],
        capture_output=True,
        text=True,
        timeout=seconds + 120,
        check=False,
        env={**os.environ, **environment},
    )
    if done.returncode not in {0, 3}:
        sys.exit(f"a generator ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout.strip().rpartition("\n")[2]


def truth(server: Planted) -> tuple[float, float]:
    """Return p50 and p99 of all that the server sent after its first five seconds, in milliseconds."""
    sends = server.columns()
    late = (sends.before_us - sends.due_us)[sends.n > 5 * RATE_HZ]
    return float(np.percentile(late, 50)) / 1000, float(np.percentile(late, 99)) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description="What a frame costs the generator, and the usual way beside it.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--users", default="3000,5000", help="of ours, in turns")
    parser.add_argument("--usual", type=int, default=300, help="users of the usual way")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path, help="where all runs are written")
    parser.add_argument("--travel", action="store_true", help="the ways in which frames of browsers travel, instead")
    parser.add_argument("--way", choices=TRAVEL, help="one of these alone")
    parser.add_argument("--share", type=int, default=100, help="percent of the rate that each is to carry")
    asked = parser.parse_args()
    if asked.travel:
        travel(asked)
        return
    outcomes: list[Outcome] = []
    for repeat in range(asked.repeats):
        turns = [(way, int(users)) for users in asked.users.split(",") for way in (ours, bare)]
        turns.append((usual, asked.usual))
        for way, users in turns if repeat % 2 == 0 else reversed(turns):
            outcomes.append(way(users, asked.seconds))
            show(outcomes[-1])
            save(asked.json, outcomes)
    conclude(outcomes)


def show(outcome: Outcome) -> None:
    words = (
        f"{outcome.way:16} {outcome.users:5} users: {outcome.us_per_frame:7.2f} us a frame, "
        f"{outcome.frames_per_second:9,.0f} frames/s, CPU {outcome.cpu_percent:3.0f} %, lateness p50 "
        f"{words_of(outcome.p50_ms)} (true {outcome.true_p50_ms:,.2f}), p99 {words_of(outcome.p99_ms)} "
        f"(true {outcome.true_p99_ms:,.2f}) ms"
    )
    if outcome.valid is not None:
        words += f", reach {outcome.reach:.6f}, coalesced {outcome.coalesced_percent:.2f} %, "
        words += "valid" if outcome.valid else f"NOT VALID {outcome.reasons}"
        words += f", server overruns {outcome.server_overruns}"
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def words_of(ms: float | None) -> str:
    return "unknown" if ms is None else f"{ms:,.2f}"


def conclude(outcomes: list[Outcome]) -> None:
    usual_us = statistics.median(outcome.us_per_frame for outcome in outcomes if outcome.way == "usual")
    for users in sorted({outcome.users for outcome in outcomes if outcome.way == "ours"}):
        mine = [outcome for outcome in outcomes if outcome.way == "ours" and outcome.users == users]
        us = statistics.median(outcome.us_per_frame for outcome in mine)
        rate = statistics.median(outcome.frames_per_second for outcome in mine)
        least_us = statistics.median(o.us_per_frame for o in outcomes if o.way == "bare" and o.users == users)
        sys.stdout.write(
            f"{users} users: median {us:.2f} us a frame, {rate:,.0f} frames/s; a bare loop takes {least_us:.2f} us, "
            f"the usual way {usual_us:.0f} us: {usual_us / us:.1f} times as much as ours\n"
        )


if __name__ == "__main__":
    main()
