"""
Every attack on every arm, beside good players: a table, and exit status 1 where a promise is broken.

``python -m tests.bench.attack [--backend B] [--mode M] [--fanout F] [--loop L] [--attack A] [--seconds 5]``: of what is
not named the default; each may be given several times, ``all`` is each of them, and of attacks all are the default. One
that breaks a promise is tried again, beside a new quiet run: twice is a fault. ``--in-turns`` has one server an arm
stand them all, one after the other, for ``--seconds`` together, beside players who stay. Load goes to loopback only.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from shared.config import FANOUTS, LOOPS
from shared.loops.modes import MODES
from tests.support.attacks.apart import apart
from tests.support.attacks.engine import Attack
from tests.support.attacks.kinds import ATTACKS
from tests.support.attacks.trial import (
    Outcome,
    Sizes,
    Watch,
    disturbed,
    held,
    look_after,
    quiet_run,
    stop,
    try_attack,
    under_attack,
)
from tests.support.server import RunningServer, run_server

BACKENDS = tuple(LOOPS)
WAIT_S = 30.0
"""For an attacker to end, beyond its time."""
QUIET_S = 3.0
WIDTH = 200
"""Of the table where it is no terminal's."""


@dataclass(frozen=True)
class AttackedArm:
    """A server as it is attacked."""

    backend: str
    mode: str
    fanout: str
    loop: str

    @property
    def flags(self) -> tuple[str, ...]:
        return ("--mode", self.mode, "--fanout", self.fanout, "--loop", self.loop)

    @property
    def name(self) -> str:
        usual = (MODES[0], FANOUTS[0], LOOPS[self.backend][0])
        differs = [
            word for word, default in zip((self.mode, self.fanout, self.loop), usual, strict=True) if word != default
        ]
        return ":".join((self.backend, *differs))

    def room_for(self, attack: Attack) -> str:
        """Return where the attackers go: naive waits for every peer of a room, so who reads nothing has another."""
        return "aside" if self.fanout == "naive" and not attack.reads else "main"


@dataclass
class Row:
    """One line of the table."""

    arm: str
    attack: str
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        return bool(self.outcomes[-1].faults)


def arms(asked: argparse.Namespace) -> Iterator[AttackedArm]:
    """Return the arms that were asked for."""
    for backend in asked.backend or BACKENDS:
        loops = LOOPS[backend]
        modes = picked(asked.mode, MODES)
        fanouts = picked(asked.fanout, FANOUTS)
        own = picked([loop for loop in asked.loop if loop in (*loops, "all")], loops) if asked.loop else loops[:1]
        for mode, fanout, loop in product(modes, fanouts, own):
            yield AttackedArm(backend, mode, fanout, loop)


def picked(asked: list[str], all_of_them: tuple[str, ...]) -> tuple[str, ...]:
    if "all" in asked:
        return all_of_them
    return tuple(asked) or all_of_them[:1]


def attack_arm(arm: AttackedArm, attack: Attack, sizes: Sizes) -> Outcome:
    """Start a server, and have it stand one attack."""
    with run_server(arm.backend, *arm.flags, *attack.flags, logs=True, cold=True) as server:
        outcome = try_attack(attack, server, sizes, arm.room_for(attack))
        if "Traceback" in server.log:
            outcome.faults.append(f"traceback on stderr: {server.log.strip().splitlines()[-1]}")
    return outcome


def attack_in_turns(arm: AttackedArm, attacks: list[Attack], seconds: float, players: int, row: Row) -> None:
    """Have one server stand them all, one after the other."""
    outcome = Outcome("in turns")
    row.outcomes.append(outcome)
    flags = {word for attack in attacks for word in attack.flags}
    with run_server(arm.backend, *arm.flags, *flags, logs=True, cold=True) as server, ExitStack() as stack:
        stack.enter_context(apart(server.pids()))
        watch = Watch(server, players)
        stack.callback(watch.end)
        outcome.quiet = quiet_run(watch, QUIET_S)
        before = held(server)
        until = time.monotonic() + seconds
        for attack in attacks:
            share = max(1.0, (until - time.monotonic()) / (len(attacks) - attacks.index(attack)))
            stand(arm, attack, server, watch, share, outcome)
        look_after(outcome, server, watch, before, QUIET_S)
        stop(outcome, server)
        if "Traceback" in server.log:
            outcome.faults.append(f"traceback on stderr: {server.log.strip().splitlines()[-1]}")


def stand(
    arm: AttackedArm, attack: Attack, server: RunningServer, watch: Watch, seconds: float, outcome: Outcome
) -> None:
    """Have it stand one more, again beside a new quiet run if it did not, and note the worst."""
    for quiet in (outcome.quiet, None):
        beside = quiet or quiet_run(watch, QUIET_S)
        with under_attack(attack, server, attack.full, seconds, arm.room_for(attack)) as process:
            process.wait(seconds + WAIT_S)
        seen = watch.figures()
        faults = disturbed(attack, beside, seen, seconds)
        if not faults:
            break
    worst = outcome.meanwhile
    worst.silence_ms, worst.skipped = max(worst.silence_ms, seen.silence_ms), max(worst.skipped, seen.skipped)
    worst.newcomers_ms.append(max(seen.newcomers_ms, default=0.0))
    outcome.faults += [f"{attack.name}: {fault}" for fault in faults]


def table(rows: list[Row]) -> Table:
    shown = Table(
        "arm",
        "attack",
        "quiet, ms",
        "silence, ms",
        "skipped",
        "taken, ms",
        "newcomer, ms",
        "memory, MB",
        "stop, s",
        "",
    )
    for row in rows:
        for number, outcome in enumerate(row.outcomes, 1):
            newcomer = max((*outcome.meanwhile.newcomers_ms, *outcome.after.newcomers_ms), default=0.0)
            tried = "" if number == 1 else ", 2nd try"
            shown.add_row(
                row.arm,
                row.attack,
                f"{outcome.quiet.silence_ms:.0f}",
                f"{outcome.meanwhile.silence_ms:.0f}",
                f"{outcome.meanwhile.skipped}",
                f"{outcome.taken_ms:.0f}",
                f"{newcomer:.0f}",
                f"{outcome.more_mb:+.0f}",
                "-" if outcome.stop_s is None else f"{outcome.stop_s:.1f}",
                ("; ".join(outcome.faults) or "held") + tried,
            )
    return shown


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.attack", description=__doc__)
    loops = sorted({loop for loops in LOOPS.values() for loop in loops})
    parser.add_argument("--backend", action="append", choices=BACKENDS, default=[])
    parser.add_argument("--mode", action="append", choices=(*MODES, "all"), default=[])
    parser.add_argument("--fanout", action="append", choices=(*FANOUTS, "all"), default=[])
    parser.add_argument("--loop", action="append", choices=(*loops, "all"), default=[])
    parser.add_argument("--attack", action="append", choices=tuple(ATTACKS), default=[])
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="of each attack; --in-turns: of all of them together"
    )
    parser.add_argument("--players", type=int, default=50)
    parser.add_argument("--in-turns", action="store_true", help="one server an arm stands them all")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    asked = parser.parse_args()
    if asked.seconds <= 0 or asked.players <= 0:
        parser.error("--seconds and --players are above 0")
    return asked


def main() -> int:
    asked = parsed()
    attacks = [ATTACKS[name] for name in asked.attack] or list(ATTACKS.values())
    sizes = Sizes(asked.players, min(3.0, asked.seconds), asked.seconds, 1.0, is_full=True)
    rows: list[Row] = []
    trials = [(arm, attack) for arm in arms(asked) for attack in ([None] if asked.in_turns else attacks)]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    told = Console(width=None if sys.stdout.isatty() else WIDTH)
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("", total=len(trials))
            for arm, attack in trials:
                row = Row(arm.name, attack.name if attack else "in turns")
                progress.update(task, description=f"{row.arm} {row.attack}")
                rows.append(row)
                if attack is None:
                    attack_in_turns(arm, attacks, asked.seconds, asked.players, row)
                else:
                    row.outcomes.append(attack_arm(arm, attack, sizes))
                    if row.is_broken:
                        row.outcomes.append(attack_arm(arm, attack, sizes))
                if row.is_broken:
                    progress.console.print(f"{row.arm} {row.attack}: {'; '.join(row.outcomes[-1].faults)}")
                progress.advance(task)
    except KeyboardInterrupt:
        rows = [row for row in rows if row.outcomes]
        told.print(table(rows))
        return 130
    told.print(table(rows))
    if asked.json:
        text = json.dumps([{"arm": row.arm, "outcomes": [vars(o) for o in row.outcomes]} for row in rows], default=vars)
        asked.json.write_text(text, "utf-8")
    broken = sum(row.is_broken for row in rows)
    sys.stdout.write(f"{len(rows)} trials, {broken} with a broken promise\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
