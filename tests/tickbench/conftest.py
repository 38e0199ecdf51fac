"""What the tests of the command line share: a recorded summary, a results folder, and stand-ins for the children."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.measure.summary import LoadSummary, StageFigures, Validity, read_summary
from tests.support.warm import python
from tickbench.cli import VERBS
from tickbench.compare.plan import PlannedRun, next_runs
from tickbench.compare.results import ResultFolder
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.suite import CapacitySearch, Side, Suite
from tickbench.machine.environment import Environment, collect_environment
from tickbench.machine.pinning import Pinning

FAKES = Path(__file__).parent / "fakes"
WITH_FAKES = FAKES / "tickbench_with_fakes.py"
VERBS_AND_MORE = (*(path.partition(":")[0] for path in VERBS.values()), "plotly.graph_objects", "numpy")
"""What the command line imports sooner or later."""

SUITE_TOML = """
name = "small"
arms = {arms}
scenario = "{scenario}"
connections = 30
duration_s = {duration_s}
warm_up_s = 0
repeats = {repeats}
seed = 3
quiet_wait_s = 0
max_attempts = 1
"""


@pytest.fixture
def summary() -> LoadSummary:
    return read_summary((FAKES / "summary.json").read_bytes())


@pytest.fixture
def fake_server() -> Callable[..., list[str]]:
    def command(behaviour: str = "good") -> list[str]:
        return [sys.executable, str(FAKES / "server.py"), "--behaviour", behaviour]

    return command


@pytest.fixture
def suite_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a suite and return its file."""

    def write(*arms: str, **fields: Any) -> Path:
        return write_suite(tmp_path, *arms, **fields)

    return write


def write_suite(
    folder: Path, *arms: str, scenario: str = "steady", repeats: int = 1, duration_s: float = 0.1, more: str = ""
) -> Path:
    """Write a suite into a folder and return its file."""
    path = folder / "small.toml"
    text = SUITE_TOML.format(arms=list(arms), scenario=scenario, duration_s=duration_s, repeats=repeats)
    path.write_text(text + more, "utf-8")
    return path


@pytest.fixture
def tickbench() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line with stand-ins for its children."""
    return run_tickbench


def run_tickbench(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end; ``variables`` are of its environment."""
    return run_warm([WITH_FAKES, *arguments], variables)


def run_warm(
    words: Sequence[str | Path], variables: Mapping[str, str], limit_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run ``python WORDS`` to its end, where what the command line imports is imported already."""
    command = [*map(str, words)]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with python(command, modules=VERBS_AND_MORE, env={**os.environ, **variables}, **streams) as process:
        try:
            said = process.communicate(timeout=limit_s)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, *said)


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished comparison, which is to stay as it is."""
    folder = tmp_path_factory.mktemp("finished")
    run_tickbench("compare", "--suite", write_suite(folder, "gevent"), "--out", folder / "out")
    return (folder / "out" / "latest").resolve()


@pytest.fixture
def finished(finished_once: Path, tmp_path: Path) -> Path:
    """Return the folder of a finished comparison, the test's own."""
    folder = Path(shutil.copytree(finished_once, tmp_path / "out" / finished_once.name))
    (tmp_path / "out" / "latest").symlink_to(folder.name)
    return folder


@pytest.fixture
def start_tickbench() -> Callable[..., subprocess.Popen[str]]:
    """Start the same, to be interrupted."""

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        command = tickbench_command(*arguments)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return start


def tickbench_command(*arguments: str | Path) -> list[str]:
    return [sys.executable, str(WITH_FAKES), *map(str, arguments)]


@pytest.fixture
def make_run(summary: LoadSummary) -> Callable[..., Run]:
    def make(number: int, arm: str, *reasons: str, **fields: Any) -> Run:
        load = msgspec.structs.replace(summary, validity=Validity.of(list(reasons), []))
        defaults: dict[str, Any] = {
            "block": 1,
            "scenario": "steady",
            "connections": 300,
            "outcome": "finished",
            "started_at": "2026-11-21T03:00:00+00:00",
            "took_s": 9.5,
            "cpus_server": [0],
            "cpus_generator": [1],
            "load": load,
        }
        return Run(number=number, arm=arm, **(defaults | fields))

    return make


@pytest.fixture
def suite() -> Suite:
    return Suite(
        name="small",
        arms=["asyncio:fanout=naive", "gevent"],
        scenario="steady",
        connections=300,
        duration_s=5.0,
        warm_up_s=2.0,
        repeats=2,
        seed=3,
        server={"bots": 10},
        quiet_wait_s=0,
    )


@pytest.fixture(scope="session")
def environment() -> Environment:
    return collect_environment(Pinning([0], [1]))


@pytest.fixture
def folder(tmp_path: Path, suite: Suite, environment: Environment, make_run: Callable[..., Run]) -> Path:
    """Make a results folder with one run an arm."""
    made = ResultFolder.create(tmp_path / "results", suite, datetime(2026, 11, 21, 14, 30, tzinfo=UTC))
    made.write("environment.json", environment)
    made.write_run(make_run(1, "asyncio:fanout=naive"), "asyncio-fanout-naive")
    made.write_run(make_run(2, "gevent", "steal of 7.1 % on core 0"), "gevent")
    return made.path


@pytest.fixture
def measured(make_run: Callable[..., Run], summary: LoadSummary) -> Callable[..., Run]:
    """Make the run that a plan asks for, with figures of one's own by their names in the summary."""

    def make(planned: PlannedRun, *reasons: str, spared: tuple[str, ...] = (), **figures: Any) -> Run:
        load = msgspec.structs.replace(
            summary,
            scenario=planned.scenario,
            connections=msgspec.structs.replace(
                summary.connections, requested=planned.connections, connected=planned.connections
            ),
            validity=Validity.of(list(reasons), [], spared=dict.fromkeys(reasons, spared)),
        )
        for name, value in figures.items():
            load = with_figure(load, name.replace("__", "."), value)
        return make_run(
            planned.number,
            planned.arm.name,
            part=planned.part,
            block=planned.block,
            again=planned.again,
            group=planned.group,
            attempt=planned.attempt,
            scenario=planned.scenario,
            connections=planned.connections,
            load=load,
        )

    return make


def with_figure(load: Any, name: str, value: Any) -> Any:
    """Return a summary in which the figure of that name has another value."""
    field, dot, rest = name.partition(".")
    return msgspec.structs.replace(load, **{field: with_figure(getattr(load, field), rest, value) if dot else value})


@pytest.fixture
def stages(summary: LoadSummary) -> list[StageFigures]:
    """Return half seconds of a run with stalled clients: two seconds all is well, then nothing comes."""
    return [
        StageFigures(
            start_s=half / 2,
            duration_s=0.5,
            connections=190,
            received=1900 if half < 4 else 0,
            missing=0,
            reach=1.0,
            tick_lateness_ms=summary.tick_lateness_ms,
            interval_error_ms=summary.interval_error_ms,
        )
        for half in range(8)
    ]


@pytest.fixture
def whole_suite(suite: Suite) -> Suite:
    """Return a suite with all parts that there are."""
    return msgspec.structs.replace(
        suite,
        arms=["asyncio:fanout=naive", "asyncio", "gevent"],
        repeats=4,
        again="asyncio",
        compare=["asyncio", "gevent"],
        verdicts=["tick_lateness_ms.p50", "tick_lateness_ms.p99"],
        sides=[
            Side("stall", "stall", 200, 4, 1, description="Some stop reading."),
            Side("storm", "storm", 1000, 4, 1),
            Side("idle", "idle", [1000, 2000], 4, 1, repeats=2),
            Side("players", "players", 100, 4, 1),
            Side("plain", "steady", 300, 4, 1, load={"deflate": "off"}),
            Side("heavy", "steady", 200, 4, 1, arms=["asyncio", "asyncio:mode=process", "gevent"],
                 server={"bot-steps": 9}),
        ],
        searches=[
            CapacitySearch("arena", "steady", 2, 1, "tick_lateness_ms.p99<=25", budget_s=500, start=500, limit=8_000),
        ],
    )  # fmt: skip


@pytest.fixture
def make_results(
    tmp_path: Path, environment: Environment, measured: Callable[..., Run]
) -> Callable[[Suite, Callable[[PlannedRun], dict[str, Any]]], Path]:
    """Make a results folder of a whole suite; a function gives the figures of each run, or reasons against it."""

    def make(suite: Suite, figures: Callable[[PlannedRun], dict[str, Any]], most: int = 1_000) -> Path:
        made = ResultFolder.create(tmp_path / "made", suite, datetime(2026, 11, 21, 14, 30, tzinfo=UTC))
        made.write("environment.json", environment)
        runs: list[Run] = []
        while (together := next_runs(RunIndex(suite, runs))) and len(runs) < most:
            for planned in together:
                given = figures(planned)
                run = measured(planned, *given.pop("reasons", ()), **given)
                made.write_run(run, planned.slug)
                runs.append(run)
        return made.path

    return make
