"""
Keeps what test_false_winners.py draws from: one arm under three names, and planted differences beside the plain arm.

``tickbench compare --suite tests/tickbench/recorded/aa-asyncio.toml``, the same with ``aa-gevent.toml`` and
``planted.toml``, then ``python -m tests.bench.recorded ASYNCIO-FOLDER GEVENT-FOLDER PLANTED-FOLDER >
tests/tickbench/recorded/aa.json``.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from tickbench.arms import parse_arm
from tickbench.compare.figures import MEMORY
from tickbench.compare.suite import BLOCKS, TOGETHER
from tickbench.report.build import read_document
from tickbench.report.document import Document, RunLine

FIGURES = (
    "tick_lateness_ms.p50",
    "tick_lateness_ms.p99",
    "interval_error_ms.p99",
    "server.cpu_us_per_frame",
    MEMORY,
)
"""As the default suite draws its verdicts on."""
PLAIN = "plain"
PLANTED = {"late-tail": "tick_lateness_ms.p99", "more-cpu": "server.cpu_us_per_frame"}
"""Arms that differ from the plain one in one figure alone, and in which."""

Figures = list[float | None]
Place = tuple[str, int, bool]
"""What the runs of one server share: its arm, its block, and whether it is the second of it."""


def triples(document: Document) -> list[dict[str, Any]]:
    """Return for each block and backend the figures of its three runs, where all are valid."""
    runs: dict[tuple[str, int], list[Figures]] = {}
    for (arm, block, _), figures in made_at_once(document).items():
        runs.setdefault((parse_arm(arm).backend, block), []).append(figures)
    return [
        {"backend": backend, "block": block, "runs": values}
        for (backend, block), values in runs.items()
        if len(values) == 3
    ]


def planted(document: Document) -> list[dict[str, Any]]:
    """Return for each block and planted arm the figures of both plain runs and of its own, where all are valid."""
    runs = made_at_once(document)
    keys = [(arm, block, ((PLAIN, block, False), (PLAIN, block, True), (arm, block, False))) for arm, block, _ in runs]
    return [
        {"arm": arm, "worse_in": PLANTED[arm], "block": block, "runs": [runs[key] for key in own]}
        for arm, block, own in keys
        if arm in PLANTED and runs.keys() >= set(own)
    ]


def made_at_once(document: Document) -> dict[Place, Figures]:
    """
    Return the recorded figures of the valid runs that were made at once.

    Memory is what the same server weighed when its own slots were over, None where it did not.

    """
    weighed = {
        place_of(run): run.figures[MEMORY]
        for run in document.runs
        if run.part == BLOCKS and run.mark != "superseded" and MEMORY in run.trusted
    }
    valid = {place_of(run): run.figures for run in document.runs if run.part == TOGETHER and run.mark == "valid"}
    return {
        place: [weighed.get(place) if figure == MEMORY else figures[figure] for figure in FIGURES]
        for place, figures in valid.items()
    }


def place_of(run: RunLine) -> Place:
    """Return which server made a run."""
    return run.arm, run.block, run.again


def main() -> None:
    """Print the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("aa", nargs=2, type=Path)
    parser.add_argument("planted", type=Path)
    given = parser.parse_args()
    documents = [read_document(folder) for folder in (*given.aa, given.planted)]
    *alike, beside = documents
    document = alike[0]
    for folder, each in zip((*given.aa, given.planted), documents, strict=True):
        if not each.is_together:
            parser.error(f"{folder} has no figures of arms at once; {each.met or 'its suite asks for none'}")
    machine, python = document.environment.machine, document.environment.python
    system = machine.system.partition("-")[0]
    record = {
        "recorded_at": document.started_at,
        "machine": f"{machine.cpu_model}, {machine.cores} cores, {system}, CPython {python.version}",
        "connections": document.suite.connections,
        "together_s": document.suite.together_s,
        "slot_s": document.suite.slot_s,
        "figures": FIGURES,
        "triples": [triple for each in alike for triple in triples(each)],
        "planted": planted(beside),
    }
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(record), indent=1).decode() + "\n")


if __name__ == "__main__":
    main()
