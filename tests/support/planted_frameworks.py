"""
Plants the results of the suite of frameworks: figures of no meaning, but as far apart and as noisy as real ones.

``python -m tests.support.planted_frameworks FOLDER`` makes a results folder with its report, to look at the page.
"""

import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from shared.measure.summary import LoadSummary, StageFigures, Validity, read_summary
from tickbench.compare.plan import PlannedRun, next_runs
from tickbench.compare.results import ResultFolder
from tickbench.compare.runs import InForce, Run, RunIndex
from tickbench.compare.suite import Suite, load_suite
from tickbench.machine.environment import collect_environment
from tickbench.machine.pinning import Pinning
from tickbench.report.build import build_report

SUMMARY = Path(__file__).resolve().parents[1] / "tickbench" / "fakes" / "summary.json"
TUNED = {"picows": 0.88, "tornado": 1.31, "starlette": 1.02, "websockets": 1.01, "autobahn": 1.24, "flask-sock": 1.0}
DOCUMENTED = {"picows": 1.35, "tornado": 3.4, "starlette": 5.2, "websockets": 2.1, "flask-sock": 4.4, "gevent": 1.3}
IN_FORCE: InForce = {"nagle": False, "waits_for_peer": True, "ping_interval_s": None, "writer_limit_bytes": 2**18}
SPOILED = "flask-sock"
"""Its documented arm is never valid."""


def planted_suite(repeats: int = 6) -> Suite:
    """Return the suite, its searches short."""
    suite = load_suite("frameworks")
    searches = [msgspec.structs.replace(each, limit=4_000, budget_s=500, slot_s=0.0) for each in suite.searches]
    return msgspec.structs.replace(suite, repeats=repeats, memory_blocks=0, searches=searches, quiet_wait_s=0)


def planted_figures(planned: PlannedRun) -> dict[str, Any]:
    """Return the figures of a run by their names in the summary, dots as two underscores."""
    settings = dict(planned.arm.settings)
    framework = settings.get("framework", planned.arm.backend)
    is_documented = settings.get("fanout") == "naive"
    factor = (DOCUMENTED if is_documented else TUNED).get(framework, 3.1 if is_documented else 1.0)
    rng = random.Random(f"{planned.key}")
    noise = rng.gauss(1, 0.015 if planned.part == "together" else 0.06)
    ms = 4.0 * factor * noise
    is_late = planned.part == "arena" and planned.connections > 3_000 / factor
    return {
        "tick_lateness_ms__p50": ms / 2,
        "tick_lateness_ms__p99": 99.0 if is_late else ms * rng.gauss(1, 0.05),
        "interval_error_ms__p99": 0.4 * rng.gauss(1, 0.2),
        "ping_rtt_ms__p99": ms / 3,
        "server__cpu_us_per_frame": 11.0 * factor * noise,
        "server__cpu_percent": planned.connections / 100 * factor,
        "server__rss_per_connection_bytes": 22_000.0 * (9 if is_documented and factor > 2 else 1) * rng.gauss(1, 0.01),
        "connections__rush_per_second": 2_000 / factor if planned.part == "storm" else None,
        "ticks_came": 0.4 if is_documented and planned.part == "stall" else 1.0,
        "tick_rate_hz": 20.0,
    }


def planted_run(planned: PlannedRun, summary: LoadSummary) -> Run:
    """Return the run that was planned, with its figures."""
    settings = dict(planned.arm.settings)
    is_documented = settings.get("fanout") == "naive"
    reasons = ["the generator read late"] if is_documented and settings.get("framework") == SPOILED else []
    stages = [_stage(summary, half, held=is_documented) for half in range(8)] if planned.part == "stall" else []
    load = msgspec.structs.replace(
        summary, scenario=planned.scenario, validity=Validity.of(reasons, [], spared={}), stages=stages
    )
    for name, value in planted_figures(planned).items():
        load = _with_figure(load, name.split("__"), value)
    return Run(
        number=planned.number,
        part=planned.part,
        block=planned.block,
        arm=planned.arm.name,
        again=planned.again,
        group=planned.group,
        scenario=planned.scenario,
        connections=planned.connections,
        outcome="finished",
        started_at="2026-11-30T09:00:00+00:00",
        took_s=9.5,
        cpus_server=[0],
        cpus_generator=[1],
        server_settings={"deflate": "on" if is_documented else "once"},
        in_force=IN_FORCE if is_documented else {},
        load=load,
    )


def plant(parent: Path, suite: Suite) -> Path:
    """Make a results folder of a suite, and its report; return it."""
    folder = ResultFolder.create(parent, suite, datetime(2026, 11, 30, 9, 0, tzinfo=UTC))
    folder.write("environment.json", collect_environment(Pinning([0], [1])))
    summary, runs = read_summary(SUMMARY.read_bytes()), list[Run]()
    while planned := next_runs(RunIndex(suite, runs)):
        made = [planted_run(each, summary) for each in planned]
        for run, each in zip(made, planned, strict=True):
            folder.write_run(run, each.slug)
        runs += made
    build_report(folder.path)
    return folder.path


def _stage(summary: LoadSummary, half: int, *, held: bool) -> StageFigures:
    return StageFigures(
        start_s=half / 2,
        duration_s=0.5,
        connections=95,
        received=0 if held and half > 2 else 950,
        missing=0,
        reach=1.0,
        tick_lateness_ms=summary.tick_lateness_ms,
        interval_error_ms=summary.interval_error_ms,
    )


def _with_figure(load: Any, path: list[str], value: Any) -> Any:
    field, *rest = path
    return msgspec.structs.replace(load, **{field: _with_figure(getattr(load, field), rest, value) if rest else value})


if __name__ == "__main__":
    plant(Path(sys.argv[1]), planted_suite())
