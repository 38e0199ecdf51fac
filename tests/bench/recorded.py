"""
Keeps what test_false_winners.py draws from: one arm under three names, and planted differences beside the plain arm.

``tickbench compare --suite tests/tickbench/recorded/aa.toml``, the same with ``planted.toml``, then
``python -m tests.bench.recorded AA-FOLDER PLANTED-FOLDER > tests/tickbench/recorded/aa.json``.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from tickbench.arms import parse_arm
from tickbench.report.build import read_document
from tickbench.report.document import Document, RunLine

FIGURES = (
    "tick_lateness_ms.p50",
    "tick_lateness_ms.p99",
    "interval_error_ms.p99",
    "server.cpu_us_per_frame",
    "server.rss_per_connection_bytes",
)
"""As the default suite draws its verdicts on."""


PLAIN = "plain"
PLANTED = {"late-tail": "tick_lateness_ms.p99", "more-cpu": "server.cpu_us_per_frame"}
"""Arms that differ from the plain one in one figure alone, and in which."""


def triples(document: Document) -> list[dict[str, Any]]:
    """Return for each block and backend the figures of its three runs, where all are valid."""
    runs: dict[tuple[str, int], list[list[float | None]]] = {}
    for run in document.runs:
        if run.mark == "valid":
            runs.setdefault((parse_arm(run.arm).backend, run.block), []).append(figures_of(run))
    return [
        {"backend": backend, "block": block, "runs": values}
        for (backend, block), values in runs.items()
        if len(values) == 3
    ]


def planted(document: Document) -> list[dict[str, Any]]:
    """Return for each block and planted arm the figures of both plain runs and of its own, where all are valid."""
    runs = {(run.arm, run.block, run.again): figures_of(run) for run in document.runs if run.mark == "valid"}
    keys = [(arm, block, ((PLAIN, block, False), (PLAIN, block, True), (arm, block, False))) for arm, block, _ in runs]
    return [
        {"arm": arm, "worse_in": PLANTED[arm], "block": block, "runs": [runs[key] for key in own]}
        for arm, block, own in keys
        if arm in PLANTED and runs.keys() >= set(own)
    ]


def figures_of(run: RunLine) -> list[float | None]:
    """Return the recorded figures of a run."""
    return [run.figures[figure] for figure in FIGURES]


def main() -> None:
    """Print the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("aa", type=Path)
    parser.add_argument("planted", type=Path)
    given = parser.parse_args()
    document, beside = read_document(given.aa), read_document(given.planted)
    machine, python = document.environment.machine, document.environment.python
    system = machine.system.partition("-")[0]
    record = {
        "recorded_at": document.started_at,
        "machine": f"{machine.cpu_model}, {machine.cores} cores, {system}, CPython {python.version}",
        "connections": document.suite.connections,
        "duration_s": document.suite.duration_s,
        "slot_s": document.suite.slot_s,
        "figures": FIGURES,
        "triples": triples(document),
        "planted": planted(beside),
    }
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(record), indent=1).decode() + "\n")


if __name__ == "__main__":
    main()
