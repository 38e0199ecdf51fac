"""
Keeps what test_false_winners.py draws from: arms that run at once, without a difference and with a planted one.

``tickbench compare --suite tests/tickbench/recorded/NAME.toml --out FOLDER/NAME`` for each of the suites there (some 14
minutes each), then ``python -m tests.bench.recorded FOLDER/*/latest > tests/tickbench/recorded/aa.json``.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

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
PLANTED = {"late-tail": "tick_lateness_ms.p99", "more-cpu": "server.cpu_us_per_frame"}
"""Arms that differ from the one that they are compared with in one figure alone, and in which."""


def triples(document: Document) -> list[dict[str, Any]]:
    """
    Return for each block the figures of its three runs: of the first arm, of the same again, of the other.

    Times and CPU are those of the runs made at once, blocks left out of which one is not valid; memory is what the same
    servers weighed later, None where they did not.

    """
    first, other = document.suite.compare
    at_once = {place_of(run): run.figures for run in document.runs if run.part == TOGETHER and run.mark == "valid"}
    weighed = {
        place_of(run): run.figures[MEMORY]
        for run in document.runs
        if run.part == BLOCKS and run.mark != "superseded" and MEMORY in run.trusted
    }
    kind = {"arm": other, "worse_in": PLANTED[other]} if other in PLANTED else {"backend": first}
    found = []
    for block in range(1, document.suite.repeats + 1):
        own = [(first, False, block), (first, True, block), (other, False, block)]
        if at_once.keys() >= set(own):
            runs = [at_once[place] | {MEMORY: weighed.get(place)} for place in own]
            found.append({**kind, "block": block, "runs": [[run[figure] for figure in FIGURES] for run in runs]})
    return found


def place_of(run: RunLine) -> tuple[str, bool, int]:
    """Return what the runs of one server share."""
    return run.arm, run.again, run.block


def main() -> None:
    """Print the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    documents = [read_document(folder) for folder in parser.parse_args().folders]
    suite, machine, python = documents[0].suite, documents[0].environment.machine, documents[0].environment.python
    system = machine.system.partition("-")[0]
    found = [triple for document in documents for triple in triples(document)]
    record = {
        "recorded_at": documents[0].started_at,
        "machine": f"{machine.cpu_model}, {machine.cores} cores, {system}, CPython {python.version}",
        "connections": suite.connections,
        "together_s": suite.together_s,
        "slot_s": suite.slot_s,
        "figures": FIGURES,
        "triples": [each for each in found if "backend" in each],
        "planted": [each for each in found if "worse_in" in each],
    }
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(record), indent=1).decode() + "\n")


if __name__ == "__main__":
    main()
