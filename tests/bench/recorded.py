"""
Keeps what test_false_winners.py draws from: of a comparison of one arm under three names, with planted ones beside it.

``tickbench compare --suite tests/tickbench/recorded/aa.toml``, then
``python -m tests.bench.recorded results/latest > tests/tickbench/recorded/aa.json``.
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


PLANTED = {"late-tail": "tick_lateness_ms.p99", "more-cpu": "server.cpu_us_per_frame"}
"""Arms of the suite that differ from the backend PLANTED_ON in one figure alone, and in which."""
PLANTED_ON = "asyncio"


def triples(document: Document) -> list[dict[str, Any]]:
    """Return for each block and backend the figures of its three runs, where all are valid."""
    runs: dict[tuple[str, int], list[list[float | None]]] = {}
    for run in document.runs:
        if run.mark == "valid" and run.arm not in PLANTED:
            key = parse_arm(run.arm).backend, run.block
            runs.setdefault(key, []).append(figures_of(run))
    return [
        {"backend": backend, "block": block, "runs": values}
        for (backend, block), values in runs.items()
        if len(values) == 3
    ]


def planted(document: Document) -> list[dict[str, Any]]:
    """Return the figures of each valid run of a planted arm, with the figure in which it is worse."""
    return [
        {"arm": run.arm, "on": PLANTED_ON, "worse_in": PLANTED[run.arm], "block": run.block, "run": figures_of(run)}
        for run in document.runs
        if run.mark == "valid" and run.arm in PLANTED
    ]


def figures_of(run: RunLine) -> list[float | None]:
    """Return the recorded figures of a run."""
    return [run.figures[figure] for figure in FIGURES]


def main() -> None:
    """Print the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    document = read_document(parser.parse_args().folder)
    machine, python = document.environment.machine, document.environment.python
    system = machine.system.partition("-")[0]
    record = {
        "recorded_at": document.started_at,
        "machine": f"{machine.cpu_model}, {machine.cores} cores, {system}, CPython {python.version}",
        "connections": document.suite.connections,
        "duration_s": document.suite.duration_s,
        "figures": FIGURES,
        "triples": triples(document),
        "planted": planted(document),
    }
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(record), indent=1).decode() + "\n")


if __name__ == "__main__":
    main()
