"""
What compression costs and saves: ``--deflate`` off, on and once, by clients that offer it as browsers do, or nothing.

``python -m tests.bench.deflate FOLDER`` has ``tickbench compare`` make five suites of 300 connections: one of clients
that offer nothing, one a stack (asyncio, uvloop, gevent) of clients that offer it, in each block of which a server that
compresses nothing and one that compresses once run at once, and one of players in rooms of ten, where "once" is for
ten only. FOLDER keeps each; begun anew with the same FOLDER it goes on, with a suite that was broken off too;
``--only`` makes some. Then it prints a table of medians and ranges over blocks, and the ratios to ``off`` of the same
stack with their 95 % intervals. Nothing else should run meanwhile: it takes 20 minutes.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench import suites
from tickbench.compare.block_ratios import logs_of
from tickbench.compare.figures import BY_KEY, MEMORY
from tickbench.compare.results import read_results
from tickbench.compare.runs import RunIndex
from tickbench.statistics.verdicts import paired_ratio
from tickbench.verdict.arm_medians import cell

NAIVE = ("asyncio:fanout=naive,clock=loop", "gevent:fanout=naive,clock=loop")
FIGURES = (
    "server.cpu_us_per_frame",
    "frames.bytes_a_frame",
    MEMORY,
    "generator.us_per_frame",
    "tick_lateness_ms.p50",
    "tick_lateness_ms.p99",
)
SUITE = """
name = "deflate-{name}"
arms = [{arms}]
compare = [{compare}]
scenario = "{scenario}"
connections = {connections}
duration_s = 4.0
warm_up_s = 1.5
repeats = {blocks}
seed = 20
slot_s = 2
together_s = {together_s}
memory_blocks = 3
stop_after = 0
[load]
deflate = "{offers}"
memory = 1000
[server]
tick-rate = 20
speed = 20
bots = {bots}
seed = 20
tick-budget = 0
"""


class Way(NamedTuple):
    """One of the suites."""

    name: str
    arms: tuple[str, ...]
    offers: str
    """What the load's ``--deflate`` is."""
    together: bool = False
    """Whether the first two run at once in each block: in a room each, as ticks of many rooms are all over a period."""
    scenario: str = "steady"


WAYS = (
    Way("nothing", (*NAIVE, "asyncio:deflate=off", "asyncio:loop=uvloop,deflate=off", "gevent:deflate=off"), "off"),
    Way(
        "asyncio",
        ("asyncio:deflate=off", "asyncio:deflate=once", "asyncio:deflate=on,fanout=library", NAIVE[0]),
        "on",
        together=True,
    ),
    Way(
        "uvloop",
        (
            "asyncio:loop=uvloop,deflate=off",
            "asyncio:loop=uvloop,deflate=once",
            "asyncio:loop=uvloop,deflate=on,fanout=library",
        ),
        "on",
        together=True,
    ),
    Way("gevent", ("gevent:deflate=off", "gevent:deflate=once", NAIVE[1]), "on", together=True),
    Way(
        "rooms",
        ("asyncio:deflate=off", "asyncio:deflate=once", "gevent:deflate=off", "gevent:deflate=once"),
        "on",
        scenario="players",
    ),
)


def suite_text(way: Way, given: argparse.Namespace) -> str:
    """Return the suite as TOML."""
    return SUITE.format(
        name=way.name,
        arms=_quoted(way.arms),
        compare=_quoted(way.arms[:2]) if way.together else "",
        scenario=way.scenario,
        connections=given.connections,
        blocks=given.blocks,
        together_s=6.0 if way.together else 0.0,
        offers=way.offers,
        bots=0 if way.scenario == "players" else 10,
    )


def table_of(ways: Sequence[tuple[Way, RunIndex]]) -> Iterator[str]:
    """Yield the lines of a table: an arm, and what its clients offer, a row; median and range of a figure a column."""
    titles = [BY_KEY[key].name for key in FIGURES]
    yield f"| clients | server | {' | '.join(titles)} |"
    yield f"|---|---|{'---|' * len(titles)}"
    for way, index in ways:
        who = (
            "players, offer deflate"
            if way.scenario == "players"
            else f"offer {'it' if way.offers == 'on' else 'nothing'}"
        )
        for arm in way.arms:
            cells = []
            for key in FIGURES:
                found = cell(BY_KEY[key], index.block_runs(arm))
                cells.append(f"{found.median} ({found.range})" if found.range else found.median)
            yield f"| {who} | `{arm}` | {' | '.join(cells)} |"


def ratios_of(ways: Sequence[tuple[Way, RunIndex]]) -> Iterator[str]:
    """Yield the ratios of each arm to the one of its stack that compresses nothing."""
    for way, index in ways:
        for arm in way.arms:
            first = off_of(arm, way)
            if first is None:
                continue
            for key in FIGURES:
                ratio = paired_ratio(list(logs_of(index, key, first, arm).values()))
                if ratio is None:
                    continue
                how = "at once" if index.is_together(key, first, arm) else "in turns"
                names = f"{way.name}: `{arm}` to `{first}`, {BY_KEY[key].title}"
                yield f"{names}: {ratio.words}, {ratio.blocks} blocks {how}"


def off_of(arm: str, way: Way) -> str | None:
    """Return the arm that is the same with ``deflate=off``, or, of the naive one, that of its backend; None: itself."""
    backend = arm.partition(":")[0]
    offs = [each for each in way.arms if "deflate=off" in each and each.partition(":")[0] == backend]
    wanted = [each for each in offs if ("uvloop" in each) == ("uvloop" in arm)]
    return wanted[0] if way.offers == "on" and wanted and arm not in wanted else None


def _quoted(arms: Sequence[str]) -> str:
    return ", ".join(f'"{arm}"' for arm in arms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=[way.name for way in WAYS], default=[way.name for way in WAYS])
    parser.add_argument("--blocks", type=int, default=6, help="of each suite")
    parser.add_argument("--connections", type=int, default=300)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    found = []
    for way in WAYS:
        if way.name not in given.only:
            continue
        if not suites.make(given.folder, way.name, suite_text(way, given)):
            sys.exit(f"{way.name} is not complete; begin anew with {given.folder}, and it goes on")
        found.append((way, read_results(given.folder / way.name / "latest").index))
    sys.stdout.write("\n".join([*table_of(found), "", *ratios_of(found), ""]))


if __name__ == "__main__":
    main()
