"""
Make the table by which a stack is chosen: one line a question, one column an arm.

Lines from the blocks have the median and the range over the runs in which the figure can be trusted. Sides and searches
may have run only once: their figures have no interval, and no verdict is drawn on them.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from msgspec import Struct

from shared.measure.summary import LoadSummary
from tickbench.arms import Arm
from tickbench.compare.early_end import suite_to_make
from tickbench.compare.figures import BY_KEY, BYTES, MEMORY, NOT_IN_ALL, Figure
from tickbench.compare.runs import Basis, Run, RunIndex
from tickbench.compare.slo import read_figure
from tickbench.compare.suite import BLOCKS, Flags, Side, Suite
from tickbench.report.practice import in_force_of, practice_questions
from tickbench.report.table import Decision, DecisionLine, Question
from tickbench.verdict.arm_medians import NO_FIGURE, cell
from tickbench.verdict.comparisons import Comparisons, SearchResult

AS_WRITTEN = "as documented"
TUNED = "tuned"
LIBRARY = "the library's own send"
ANOTHER = "another stack"
HEAVY = "heavy"
"""The kind of a side whose ticks take long; any other has its scenario's name."""
PLAIN = "plain"
"""The kind of a side whose clients offer no compression, as no browser does."""
Read = Callable[[LoadSummary], float | None]


class SideLine(Struct, frozen=True):
    """An arm in a side at one load: the figures that every scenario has."""

    side: str
    arm: str
    connections: int
    runs: str
    """How many are valid, of how many."""
    is_doubtful: bool
    """No run is valid."""
    figures: dict[str, str]
    """By title, as texts: the median."""
    doubtful: list[str] = []
    """Titles of those that can be trusted in no run."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a row is about, and what stands beside its figure: title, figure (or how it is read), and digits of each."""

    figure: Figure
    detail: tuple[tuple[str, str | Read, int], ...] = ()


def decide(index: RunIndex, comparisons: Comparisons) -> Decision:
    """Return the table of a results folder; lines of which the suite has no part are left out."""
    suite = index.suite
    arms = suite.parsed_arms()
    questions = [
        *_capacity_questions(suite, comparisons.searches),
        *_side_questions(index, "storm"),
        *(_block_question(index, key) for key in BLOCK_FIGURES if _is_there(index, BLOCKS, suite.load, key)),
        *(question for kind in (PLAIN, "players", "idle", "stall", HEAVY) for question in _side_questions(index, kind)),
        *practice_questions(arms, in_force_of(index)),
    ]
    return Decision([arm.name for arm in arms], [style_of(arm) for arm in arms], questions)


def style_of(arm: Arm) -> str:
    """Return what kind of arm it is; the naive fan-out is what tutorials do."""
    if arm.url is not None or arm.command is not None:
        return ANOTHER
    settings = dict(arm.settings)
    usual = "library" if settings.get("deflate") == "on" else ""  # as the server has it
    return {"naive": AS_WRITTEN, "library": LIBRARY}.get(settings.get("fanout", usual), TUNED)


def side_lines(index: RunIndex) -> list[SideLine]:
    """Return every arm of every side, also of sides that no question is about."""
    return [
        _side_line(side, arm.name, connections, index.side_runs(side.name, arm.name, connections))
        for side in index.suite.sides
        for connections in side.loads
        for arm in index.suite.arms_of(side)
    ]


def _side_line(side: Side, arm: str, connections: int, runs: list[Run]) -> SideLine:
    valid = sum(run.is_valid for run in runs)
    figures = [BY_KEY[key] for key in SIDE_FIGURES]
    return SideLine(
        side=side.name,
        arm=arm,
        connections=connections,
        runs=f"{valid} of {side.repeats}",
        is_doubtful=not valid and any(run.load is not None for run in runs),
        figures={figure.name: cell(figure, runs).median for figure in figures},
        doubtful=[figure.name for figure in figures if cell(figure, runs).is_doubtful],
    )


def is_heavy(side: Side) -> bool:
    """Whether a side has bots that search for a way, which makes ticks long."""
    return bool(side.server.get("bot-steps"))


SIDE_FIGURES = (
    "connections.connected",
    "ticks_came",
    "tick_lateness_ms.p50",
    "tick_lateness_ms.p99",
    "interval_error_ms.p99",
    "ping_rtt_ms.p99",
    "server.cpu_us_per_frame",
)
BLOCK_FIGURES = (
    "tick_lateness_ms.p50",
    "tick_lateness_ms.p99",
    "interval_error_ms.p99",
    "ping_rtt_ms.p99",
    "server.cpu_us_per_frame",
    BYTES,
    MEMORY,
)


def _connected_percent(load: LoadSummary) -> float | None:
    """Return the percentage of connections that got in; None where all did."""
    counts = load.connections
    return 100 * counts.connected / counts.requested if counts.connected < counts.requested else None


def _compressed_percent(load: LoadSummary) -> float | None:
    """Return the percentage of connections that agreed on compression; None where that is not known."""
    agreed = load.connections.extensions
    total = sum(agreed.values())
    return 100 * (total - agreed.get("", 0)) / total if total else None


BLOCK_DETAILS: dict[str, tuple[tuple[str, str | Read, int], ...]] = {
    BYTES: (("compressed, % of connections", _compressed_percent, 0),)
}
"""What stands beside a figure from the blocks."""
SIDES = {
    PLAIN: [
        Line(replace(BY_KEY[key], title=f"{BY_KEY[key].title}, nothing offered", meaning=meaning))
        for key, meaning in (
            (
                "server.cpu_us_per_frame",
                "clients that offer no compression, as no browser does: all that a server does",
            ),
            (BYTES, "to clients that offer no compression, as no browser does"),
            (MEMORY, "what one more connection takes whose client offers no compression, as no browser does"),
        )
    ],
    "storm": [
        Line(
            Figure(
                "connections.rush_per_second",
                "connects a second",
                "",
                0,
                "nine in ten come at the same moment: first connect to last first tick",
            ),
            (
                ("first tick, ms: p50", "connections.connect_ms.p50", 0),
                ("p99", "connections.connect_ms.p99", 0),
                ("connected, %", _connected_percent, 1),
            ),
        ),
        Line(
            Figure(
                "tick_lateness_ms.p99",
                "lateness p99 in a storm",
                "ms",
                1,
                "of all that got in while nine in ten came at once",
            ),
            (("ticks came, %", "ticks_came", 2),),
        ),
    ],
    "players": [
        Line(
            Figure(
                "input_ms.p99",
                "key to turn p99",
                "ms",
                1,
                "from a key to the tick frame that shows the turn; half a period and more is the rules' own",
            ),
            (("p50", "input_ms.p50", 1),),
        )
    ],
    "idle": [
        Line(
            replace(
                BY_KEY[MEMORY],
                title="memory an idle connection",
                meaning="what the server's resident memory grows by with one more, beside thousands who say nothing",
            )
        )
    ],
    "stall": [
        Line(
            replace(
                BY_KEY["ticks_came"],
                title="ticks that came beside stalled clients",
                unit="% of those due",
                digits=1,
                meaning="what those who read got while some had stopped reading for good; higher is better",
            ),
            (
                ("lateness p99, ms", "tick_lateness_ms.p99", 1),
                ("ended early", lambda load: load.connections.closed_early or None, 0),
            ),
        )
    ],
    HEAVY: [
        Line(
            Figure(
                "ping_rtt_ms.p99",
                "ping p99, heavy tick",
                "ms",
                1,
                "a ping of the protocol and its pong, while the rules take some 30 ms a tick",
            ),
            (
                ("lateness p99", "tick_lateness_ms.p99", 1),
                ("interval error p99", "interval_error_ms.p99", 1),
                ("CPU, % of a core", "server.cpu_percent", 0),
            ),
        )
    ],
}
"""The rows about a side, by its kind."""


def _kind(side: Side) -> str:
    if is_heavy(side):
        return HEAVY if side.scenario == "steady" else ""
    if side.scenario == "steady" and side.load.get("deflate") == "off":
        return PLAIN
    return side.scenario


def _block_question(index: RunIndex, figure: str) -> Question:
    source = f"{suite_to_make(index).repeats} blocks, {index.suite.connections:,} connections: median (range)"
    return _question(index, Line(BY_KEY[figure], BLOCK_DETAILS.get(figure, ())), source, index.block_runs)


def _side_questions(index: RunIndex, kind: str) -> list[Question]:
    return [
        _question(
            index,
            line,
            f"{side.name}, {connections:,} connections: {_times(side.repeats)}",
            partial(index.side_runs, side.name, connections=connections),
        )
        for side in index.suite.sides
        for line in SIDES[kind]
        if _kind(side) == kind and _is_there(index, side.name, side.load, line.figure.key)
        for connections in side.loads
    ]


def _question(index: RunIndex, line: Line, source: str, runs_of: Callable[[str], list[Run]]) -> Question:
    answers = [_answer(runs_of(arm), line) for arm in index.suite.arms]
    return Question(line.figure.title, line.figure.unit, source, line.figure.meaning, answers)


def _is_there(index: RunIndex, part: str, flags: Flags, figure: str) -> bool:
    """Whether a part of the suite has a figure: memory is only measured where ``flags`` of the load test ask for it."""
    if figure not in NOT_IN_ALL or (figure == MEMORY and flags.get("memory")):
        return True
    loads = [run.load for run in index.runs if run.part == part and run.load is not None]
    return any(BY_KEY[figure].read(load) is not None for load in loads)


def _answer(runs: list[Run], line: Line) -> DecisionLine:
    found = cell(line.figure, runs)
    if found.median == NO_FIGURE:
        return DecisionLine(NO_FIGURE, _why_none(runs, line.figure))
    basis, parts = Basis.of(runs, line.figure.key), [found.range]
    for title, read, digits in line.detail:
        if more := _values(basis, read):
            parts.append(f"{title} {statistics.median(more):,.{digits}f}")
    return DecisionLine(found.median, ", ".join(filter(None, parts)), found.is_doubtful)


def _values(basis: Basis, read: str | Read) -> list[float]:
    """Return what the runs have of a figure, in the unit in which it is shown."""
    if isinstance(read, str):
        read = BY_KEY[read].read if read in BY_KEY else partial(read_figure, figure=read)
    return [value for load in basis.loads if (value := read(load)) is not None]


def _why_none(runs: list[Run], figure: Figure) -> str:
    if not runs:
        return "not run"
    why = [run.reason for run in runs if run.reason]
    why += [words for run in runs if run.load is not None and (words := figure.why_none(run.load))]
    return why[0] if why else "not measured"


def _capacity_questions(suite: Suite, found: list[SearchResult]) -> list[Question]:
    questions = []
    for search in suite.searches:
        own = [each for each in found if each.search == search.name]
        answers = [_capacity_answer([each for each in own if each.arm == arm]) for arm in suite.arms]
        meaning = f"the most connections with {search.slo}; {search.description}".rstrip("; ")
        way = f"rising load, slots of {search.slot_s:g} s" if search.slot_s else "doubling, bisection"
        source = f"{way}, confirmation; {_times(search.repeats)}"
        questions.append(Question(f"capacity, {search.name}", "connections", source, meaning, answers))
    return questions


def _capacity_answer(found: list[SearchResult]) -> DecisionLine:
    ended = [each.capacity for each in found if each.capacity is not None]
    if not ended:
        return DecisionLine(NO_FIGURE, "not over" if found else "not run")
    known = sorted(ended, key=lambda capacity: capacity.connections or 0)
    middle = known[(len(known) - 1) // 2]
    parts = [middle.limit_words, middle.held_words]
    if len(known) > 1:
        parts.append(f"{known[0].figure}\N{EN DASH}{known[-1].figure}")
    return DecisionLine(middle.figure, ", ".join(filter(None, parts)))


def _times(repeats: int) -> str:
    return "once" if repeats == 1 else f"{repeats} times, median (range)"
