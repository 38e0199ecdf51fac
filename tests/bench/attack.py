"""
Every attack on every arm, beside good players: a table, and exit status 1 where a promise is broken.

``python -m tests.bench.attack [--backend B] [--mode M] [--fanout F] [--loop L] [--attack A] [--seconds 5]``: of what is
not named the default; each may be given several times, ``all`` is each of them, and of attacks all are the default;
``--attack harmful``: those that did harm when nothing was bounded. One that breaks a promise is tried again, beside a
new quiet run: twice is a fault, and both are shown. ``--json FILE`` gets a line as soon as a trial is over; asked again
with the same file, on the same commit, it makes only those that are not in it. ``--in-turns`` has one server an arm
stand them all, one after the other, for ``--seconds`` together, beside players who stay: all but those that leave
memory behind. Load goes to loopback only.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from shared.loops.modes import MODES
from shared.server.config import LOOPS
from shared.server.frameworks import FANOUTS
from tests.support.attacks.bystanders import Figures
from tests.support.attacks.engine import Attack
from tests.support.attacks.kinds import ATTACKS, HARMFUL, ONCE
from tests.support.attacks.trial import MIDST_S, ROOT, Outcome, Sizes, try_attack
from tests.support.attacks.turns import IN_TURNS, stand_in_turns
from tests.support.server import run_server
from tickbench.machine.environment import git_state

BACKENDS = tuple(LOOPS)
QUIET_S, AFTER_S = 2.0, 1.0
AROUND_S = 3.0
"""For a server to start and end, and for players to come in: about."""
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

    def flags_for(self, attacks: list[Attack]) -> tuple[str, ...]:
        """Return its flags, and those that attacks are aimed at; with naive, deflate is the library's."""
        aimed_at = dict.fromkeys(word for attack in attacks for word in attack.flags)
        return (*self.flags, *(word for word in aimed_at if word != ONCE or self.fanout == FANOUTS[0]))

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


class Journal:
    """
    Rows in a file, a line of JSON each, written as soon as there is one.

    Those of the same commit and sizes are taken for done. Without a path nothing is kept.
    """

    def __init__(self, path: Path | None, **made_with: object) -> None:
        self._path = path
        self._made_with = json.loads(json.dumps(made_with))  # as they are read
        self._rows: dict[tuple[str, str], Row] = {}
        text = path.read_text("utf-8") if path and path.exists() else ""
        self._before = "" if text.endswith("\n") or not text else "\n"  # behind a line that was cut off
        for line in text.splitlines():
            try:
                kept = json.loads(line)
            except ValueError:
                continue
            if kept["made_with"] == self._made_with:
                row = Row(kept["arm"], kept["attack"], [outcome_of(fields) for fields in kept["outcomes"]])
                self._rows[row.arm, row.attack] = row

    def row(self, arm: str, attack: str) -> Row | None:
        return self._rows.get((arm, attack))

    def keep(self, row: Row) -> None:
        if self._path:
            line = {"made_with": self._made_with, **asdict(row)}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{self._before}{json.dumps(line)}\n")
            self._before = ""


def outcome_of(fields: dict[str, Any]) -> Outcome:
    """Return an outcome as it was kept."""
    figures = {name: Figures(**fields[name]) for name in ("quiet", "meanwhile", "after")}
    return Outcome(**{**fields, **figures})


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
    with run_server(arm.backend, *arm.flags_for([attack]), logs=True, cold=True) as server:
        outcome = try_attack(attack, server, sizes, arm.room_for(attack))
        if "Traceback" in server.log:
            outcome.faults.append(f"traceback on stderr: {server.log.strip().splitlines()[-1]}")
    return outcome


def attack_in_turns(arm: AttackedArm, attacks: list[Attack], sizes: Sizes) -> Outcome:
    """Have one server stand them all, one after the other."""
    with run_server(arm.backend, *arm.flags_for(attacks), logs=True, cold=True) as server:
        outcome = stand_in_turns(attacks, server, sizes, arm.room_for)
        if "Traceback" in server.log:
            outcome.faults.append(f"traceback on stderr: {server.log.strip().splitlines()[-1]}")
    return outcome


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
    parser.add_argument("--attack", action="append", choices=(*ATTACKS, "harmful"), default=[])
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="of each attack; --in-turns: of all of them together"
    )
    parser.add_argument("--players", type=int, default=50)
    parser.add_argument("--in-turns", action="store_true", help="one server an arm stands them all")
    parser.add_argument("--json", type=Path, help="a file for all figures, a line a trial; goes on where it ends")
    asked = parser.parse_args()
    if asked.seconds <= 0 or asked.players <= 0:
        parser.error("--seconds and --players are above 0")
    return asked


def seconds_of(attack: Attack | None, asked: argparse.Namespace) -> float:
    """Return for how long a trial goes on, about, if it is held."""
    seconds: float = asked.seconds
    around_s = QUIET_S + AFTER_S + AROUND_S
    if attack is None:
        return seconds + around_s
    return (1 + max(attack.spread, attack.strike)) * seconds + MIDST_S + around_s


def main() -> int:
    asked = parsed()
    names = [name for word in asked.attack for name in (HARMFUL if word == "harmful" else (word,))]
    attacks = [ATTACKS[name] for name in dict.fromkeys(names or ATTACKS)]
    if asked.in_turns and not names:  # memory is looked at when all are over
        attacks = [attack for attack in attacks if not attack.leaves_memory]
    sizes = Sizes(asked.players, min(QUIET_S, asked.seconds), asked.seconds, AFTER_S, is_full=True)
    made_with = {"code": git_state(ROOT), "seconds": asked.seconds, "players": asked.players}
    if asked.in_turns:
        made_with["in_turns"] = [attack.name for attack in attacks]
    journal = Journal(asked.json, **made_with)
    rows: list[Row] = []
    wanted = [(arm, attack) for arm in arms(asked) for attack in ([None] if asked.in_turns else attacks)]
    trials = []
    for arm, attack in wanted:
        if row := journal.row(arm.name, attack.name if attack else IN_TURNS):
            rows.append(row)
        else:
            trials.append((arm, attack))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    told = Console(width=None if sys.stdout.isatty() else WIDTH)
    minutes = sum(seconds_of(attack, asked) for _, attack in trials) / 60
    console.print(f"{len(trials)} trials, about {minutes:.0f} minutes; {len(rows)} are there already")
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("", total=len(trials))
            for arm, attack in trials:
                row = Row(arm.name, attack.name if attack else IN_TURNS)
                progress.update(task, description=f"{row.arm} {row.attack}")
                if attack is None:
                    row.outcomes.append(attack_in_turns(arm, attacks, sizes))
                else:
                    row.outcomes.append(attack_arm(arm, attack, sizes))
                    if row.is_broken:
                        row.outcomes.append(attack_arm(arm, attack, sizes))
                rows.append(row)
                journal.keep(row)
                if row.is_broken:
                    progress.console.print(f"{row.arm} {row.attack}: {'; '.join(row.outcomes[-1].faults)}")
                progress.advance(task)
    except KeyboardInterrupt:
        told.print(table(rows))
        return 130
    told.print(table(rows))
    broken = sum(row.is_broken for row in rows)
    twice = sum(len(row.outcomes) > 1 and not row.is_broken for row in rows)
    sys.stdout.write(f"{len(rows)} trials, {broken} with a broken promise, {twice} held at the second try only\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
