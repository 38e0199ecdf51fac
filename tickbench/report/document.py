"""
Make ``results.json``: all that a comparison found, from which alone page, tables and ``diff`` are made.

History of the schema: 1, the first. Its JSON schema is generated from these types (``make schema``); a reader ignores
fields it does not know, and refuses another number.
"""

import msgspec
from msgspec import Struct

from tickbench.compare.figures import FIGURES
from tickbench.compare.plan import next_run
from tickbench.compare.results import Results
from tickbench.compare.runs import InForce, Mark, Run, RunIndex
from tickbench.compare.search import StepOutcome, steps_of
from tickbench.compare.slo import read_figure
from tickbench.compare.suite import Suite
from tickbench.machine.environment import Environment
from tickbench.report.chart_data import (
    Lateness,
    LoopPing,
    Stall,
    arrival_sentence,
    lateness_of,
    limits_of,
    loop_pings_of,
    stalls_of,
)
from tickbench.report.choice import choice_of
from tickbench.report.decision import SideLine, decide, side_lines
from tickbench.report.news import listed, news_of
from tickbench.report.practice import in_force_of
from tickbench.report.table import Decision
from tickbench.verdict.comparisons import Comparisons, compare_all


class RunLine(Struct, frozen=True):
    """One run in a line: what it was, whether it can be trusted, and its figures."""

    number: int
    part: str
    block: int
    arm: str
    again: bool
    attempt: int
    scenario: str
    connections: int
    mark: Mark
    """``superseded``: the machine spoiled it, and it was made again."""
    words: str
    started_at: str
    took_s: float
    file: str
    figures: dict[str, float | None]
    """By their names in the summary, in its units."""
    why_none: dict[str, str] = {}
    """Of figures that the run did not measure: why, in words, where that is known."""
    trusted: list[str] = []
    """Those of the figures that can be trusted: all of a valid run, and what the reasons against another one spared."""


class CurvePoint(Struct, frozen=True):
    """One load that a search tried, and what came of it."""

    search: str
    arm: str
    block: int
    connections: int
    outcome: StepOutcome
    words: str
    """Why it did not hold, empty where it did."""
    lateness_p50_ms: float | None
    lateness_p99_ms: float | None
    cpu_percent: float | None
    """Of the server, of one core."""


class Document(Struct, frozen=True, kw_only=True, tag_field="schema", tag="tickbench.results/1"):
    """What a comparison found: what was run, on which machine, every run, and what is concluded of them."""

    id: str
    started_at: str
    resumed_at: list[str]
    is_complete: bool
    """Every run that the suite asks for is made."""
    news: str = ""
    """What came out, in a line or two: how many runs can be trusted, why not more and what to do, what is concluded."""
    choice: list[str] = []
    """Which arm to take, in five lines at most, of verdicts and facts only."""
    in_force: dict[str, InForce] = {}
    """Which of its framework's own defaults the server of an arm said to leave in force, by arm."""
    suite: Suite
    environment: Environment
    comparisons: Comparisons
    decision: Decision
    sides: list[SideLine]
    curves: list[CurvePoint]
    lateness: list[Lateness] = []
    stalls: list[Stall] = []
    loop_pings: list[LoopPing] = []
    limits: dict[str, float] = {}
    """The thresholds that a run is held to, by name."""
    met: str = ""
    """Where ticks of arms that ran at once met, so that no ratio is of them: how late they were, in words."""
    met_partly: str = ""
    """Where they met in some groups of those that ran at once and not in all: in which, and how late, in words."""
    arrival: str = ""
    """Where the time of a frame's arrival comes from, in a sentence."""
    runs: list[RunLine]

    @property
    def is_together(self) -> bool:
        """Whether verdicts and ratios are of arms that ran at once, memory and pings apart."""
        return bool(self.suite.run_together) and not self.met


def make_document(results: Results) -> Document:
    """Return the document of a results folder."""
    record, index = results.record, results.index
    comparisons = compare_all(index)
    return Document(
        id=record.id,
        started_at=record.started_at,
        resumed_at=record.resumed_at,
        is_complete=next_run(index) is None,
        news=news_of(index, comparisons),
        choice=choice_of(record.suite, comparisons, record.started_at),
        in_force=in_force_of(index),
        suite=record.suite,
        environment=results.environment,
        comparisons=comparisons,
        decision=decide(index, comparisons),
        sides=side_lines(index),
        curves=_curves(index),
        lateness=lateness_of(index),
        stalls=stalls_of(index),
        loop_pings=loop_pings_of(index),
        limits=limits_of(index),
        met="" if index.ticks_met is None else index.ticks_met.words,
        met_partly=_met_partly(index),
        arrival=arrival_sentence(index),
        runs=[_run_line(index, run, file) for run, file in zip(results.runs, results.files, strict=True)],
    )


def _met_partly(index: RunIndex) -> str:
    if index.ticks_met is not None:
        return ""
    groups = index.suite.groups
    return "; ".join(f"in that of {listed(groups[each][1:])} {met.words}" for each, met in sorted(index.met.items()))


def _run_line(index: RunIndex, run: Run, file: str) -> RunLine:
    figures = {each.key: None if run.load is None else read_figure(run.load, each.key) for each in FIGURES}
    copied = [name for name in RunLine.__struct_fields__ if name in Run.__struct_fields__]
    return RunLine(
        **{name: getattr(run, name) for name in copied},
        mark=index.mark(run),
        words=run.words,
        file=file,
        figures=figures,
        why_none={}
        if run.load is None
        else {each.key: words for each in FIGURES if figures[each.key] is None and (words := each.why_none(run.load))},
        trusted=[key for key in figures if run.is_trusted(key)],
    )


def _curves(index: RunIndex) -> list[CurvePoint]:
    points = []
    for search in index.suite.searches:
        runs = [run for run in index.runs if run.part == search.name]
        points += [
            CurvePoint(
                search=search.name,
                arm=run.arm,
                block=run.block,
                connections=run.connections,
                outcome=tried.outcome,
                words=tried.words,
                lateness_p50_ms=run.load.tick_lateness_ms.p50 if run.load else None,
                lateness_p99_ms=run.load.tick_lateness_ms.p99 if run.load else None,
                cpu_percent=run.load.server.cpu_percent if run.load else None,
            )
            for run, tried in zip(runs, steps_of(search, runs), strict=True)
        ]
    return points


def schema_text() -> str:
    """Return the JSON schema of ``results.json``, generated from the types."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Document)), indent=1).decode() + "\n"
