"""
Make the table by which a stack is chosen: one line a question, one column an arm.

Lines from the blocks have the median and the range over the runs in which the figure can be trusted. Sides and searches
may have run only once: their figures have no interval, and no verdict is drawn on them.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import Struct

from shared.measure.summary import LoadSummary
from tickbench.arms import Arm
from tickbench.compare.figures import BY_KEY, MEMORY, Figure
from tickbench.compare.plan import slot_of
from tickbench.compare.results import Results, Run
from tickbench.compare.suite import BLOCKS, Flags, Side, Suite
from tickbench.report.code_lines import backend_lines, mode_lines
from tickbench.verdict.arm_medians import NO_FIGURE, block_runs, cell, counted, is_doubtful
from tickbench.verdict.comparisons import Comparisons, SearchResult
from tickbench.verdict.counting import is_valid

AS_WRITTEN = "as people write it"
TUNED = "tuned"
LIBRARY = "the library's own send"
ANOTHER = "another stack"
Read = Callable[[LoadSummary], float | None]


class DecisionLine(Struct, frozen=True):
    """One cell: what is to be read at a glance, and what is beside it."""

    text: str
    detail: str = ""
    is_doubtful: bool = False
    """It rests on runs in none of which the figure can be trusted."""


class Question(Struct, frozen=True):
    """One line."""

    title: str
    unit: str
    source: str
    """Which part of the suite it is from, and how often that ran."""
    meaning: str
    answers: list[DecisionLine]
    """In the order of the arms."""


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


class Decision(Struct, frozen=True):
    """The table."""

    arms: list[str]
    styles: list[str]
    """Of each arm: as people write it, or tuned."""
    questions: list[Question]


@dataclass(frozen=True, slots=True)
class Line:
    """
    What a line reads from each run: one figure for the text, others for the detail.

    ``figure`` is the name in the summary by which it is known whether what is read can be trusted.

    """

    title: str
    unit: str
    meaning: str
    figure: str
    read: Read
    digits: int = 2
    detail: tuple[tuple[str, Read, int], ...] = ()


def decide(results: Results, comparisons: Comparisons) -> Decision:
    """Return the table of a results folder; lines of which the suite has no part are left out."""
    suite = results.record.suite
    arms = suite.parsed_arms()
    questions = [
        *_capacity_questions(suite, comparisons.searches),
        *_side_questions(results, "storm", STORM),
        *(
            _block_question(results, BY_KEY[key])
            for key in BLOCK_FIGURES
            if _is_there(results, BLOCKS, suite.load, key)
        ),
        *_side_questions(results, "players", PLAYERS),
        *_side_questions(results, "idle", IDLE),
        *_side_questions(results, "stall", STALL),
        *_heavy_questions(results),
        _code_question(arms),
    ]
    return Decision([arm.name for arm in arms], [style_of(arm) for arm in arms], questions)


def style_of(arm: Arm) -> str:
    """Return what kind of arm it is; the naive fan-out is what tutorials do."""
    if arm.url is not None or arm.command is not None:
        return ANOTHER
    return {"naive": AS_WRITTEN, "library": LIBRARY}.get(dict(arm.settings).get("fanout", ""), TUNED)


def side_runs(results: Results, side: Side, arm: str, connections: int) -> list[Run]:
    """Return the runs of an arm in a side at one load, of each only the last attempt."""
    own = [run for run in results.runs if (run.part, run.arm, run.connections) == (side.name, arm, connections)]
    return list({slot_of(run): run for run in own}.values())


def side_lines(results: Results) -> list[SideLine]:
    """Return every arm of every side, also of sides that no question is about."""
    suite = results.record.suite
    return [
        _side_line(side, arm.name, connections, side_runs(results, side, arm.name, connections))
        for side in suite.sides
        for connections in side.loads
        for arm in suite.arms_of(side)
    ]


def _side_line(side: Side, arm: str, connections: int, runs: list[Run]) -> SideLine:
    valid = sum(map(is_valid, runs))
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
    "server.rss_per_connection_bytes",
)


def _connected_percent(load: LoadSummary) -> float | None:
    """Return the percentage of connections that got in; None where all did."""
    counts = load.connections
    return 100 * counts.connected / counts.requested if counts.connected < counts.requested else None


STORM = [
    Line(
        "connects a second",
        "",
        "nine in ten come at the same moment: first connect to last first tick",
        "connections.rush_per_second",
        lambda load: load.connections.rush_per_second,
        0,
        (
            ("first tick, ms: p50", lambda load: load.connections.connect_ms.p50, 0),
            ("p99", lambda load: load.connections.connect_ms.p99, 0),
            ("connected, %", _connected_percent, 1),
        ),
    ),
    Line(
        "lateness p99 in a storm",
        "ms",
        "of all that got in while nine in ten came at once",
        "tick_lateness_ms.p99",
        lambda load: load.tick_lateness_ms.p99,
        1,
        (("ticks came, %", BY_KEY["ticks_came"].read, 2),),
    ),
]
PLAYERS = [
    Line(
        "key to turn p99",
        "ms",
        "from a key to the tick frame that shows the turn; half a period and more is the rules' own",
        "input_ms.p99",
        lambda load: load.input_ms.p99 if load.input_ms is not None else None,
        1,
        (("p50", lambda load: load.input_ms.p50 if load.input_ms is not None else None, 1),),
    )
]
IDLE = [
    Line(
        "memory an idle connection",
        "KiB",
        "what the server's resident memory grows by with one more, beside thousands who say nothing",
        "server.rss_per_connection_bytes",
        BY_KEY["server.rss_per_connection_bytes"].read,
        1,
    )
]
STALL = [
    Line(
        "ticks that came beside stalled clients",
        "% of those due",
        "what those who read got while some had stopped reading for good; higher is better",
        "frames.received",
        BY_KEY["ticks_came"].read,
        1,
        (
            ("lateness p99, ms", lambda load: load.tick_lateness_ms.p99, 1),
            ("ended early", lambda load: load.connections.closed_early or None, 0),
        ),
    )
]


HEAVY = [
    Line(
        "ping p99, heavy tick",
        "ms",
        "a ping of the protocol and its pong, while the rules take some 30 ms a tick",
        "ping_rtt_ms.p99",
        lambda load: load.ping_rtt_ms.p99,
        1,
        (
            ("lateness p99", lambda load: load.tick_lateness_ms.p99, 1),
            ("interval error p99", lambda load: load.interval_error_ms.p99, 1),
            ("CPU, % of a core", lambda load: load.server.cpu_percent, 0),
        ),
    )
]


def _block_question(results: Results, figure: Figure) -> Question:
    suite = results.record.suite
    answers = []
    for arm in suite.arms:
        runs = block_runs(arm, results.runs)
        answers.append(_answer(runs, figure.key, figure.read, figure.digits))
    source = f"{suite.repeats} blocks, {suite.connections:,} connections: median (range)"
    return Question(figure.title, figure.unit, source, figure.meaning, answers)


def _side_questions(results: Results, scenario: str, lines: Sequence[Line]) -> list[Question]:
    sides = [side for side in results.record.suite.sides if side.scenario == scenario and not is_heavy(side)]
    return [
        question
        for side in sides
        for line in lines
        if _is_there(results, side.name, side.load, line.figure)
        for question in _of_side(results, side, line)
    ]


def _is_there(results: Results, part: str, flags: Flags, figure: str) -> bool:
    """Whether a part of the suite has a figure: memory is only measured where ``flags`` of the load test ask for it."""
    if figure != MEMORY or flags.get("memory"):
        return True
    loads = [run.load for run in results.runs if run.part == part and run.load is not None]
    return any(BY_KEY[MEMORY].read(load) is not None for load in loads)  # an older tickbench always measured it


def _heavy_questions(results: Results) -> list[Question]:
    sides = [side for side in results.record.suite.sides if side.scenario == "steady" and is_heavy(side)]
    return [question for side in sides for line in HEAVY for question in _of_side(results, side, line)]


def _of_side(results: Results, side: Side, line: Line) -> list[Question]:
    return [
        Question(
            line.title,
            line.unit,
            f"{side.name}, {connections:,} connections: {_times(side.repeats)}",
            line.meaning,
            [
                _answer(side_runs(results, side, arm, connections), line.figure, line.read, line.digits, line.detail)
                for arm in results.record.suite.arms
            ],
        )
        for connections in side.loads
    ]


def _answer(
    runs: list[Run], figure: str, read: Read, digits: int, detail: tuple[tuple[str, Read, int], ...] = ()
) -> DecisionLine:
    loads = counted(runs, figure)
    values = [value for load in loads if (value := read(load)) is not None]
    if not values:
        return DecisionLine(NO_FIGURE, _why_none(runs, figure))
    low, high = f"{min(values):,.{digits}f}", f"{max(values):,.{digits}f}"
    parts = [f"{low}\N{EN DASH}{high}"] if low != high else []
    for title, read_more, more_digits in detail:
        more = [value for load in loads if (value := read_more(load)) is not None]
        if more:
            parts.append(f"{title} {statistics.median(more):,.{more_digits}f}")
    return DecisionLine(f"{statistics.median(values):,.{digits}f}", ", ".join(parts), is_doubtful(runs, figure))


def _why_none(runs: list[Run], figure: str) -> str:
    if not runs:
        return "not run"
    why = [run.reason for run in runs if run.reason]
    if figure in BY_KEY:
        why += [words for run in runs if run.load is not None and (words := BY_KEY[figure].why_none(run.load))]
    return why[0] if why else "not measured"


def _capacity_questions(suite: Suite, found: list[SearchResult]) -> list[Question]:
    questions = []
    for search in suite.searches:
        own = [each for each in found if each.search == search.name]
        answers = [_capacity_answer([each for each in own if each.arm == arm]) for arm in suite.arms]
        meaning = f"the most connections with {search.slo}; {search.description}".rstrip("; ")
        source = f"doubling, bisection, confirmation; {_times(search.repeats)}"
        questions.append(Question(f"capacity, {search.name}", "connections", source, meaning, answers))
    return questions


def _capacity_answer(found: list[SearchResult]) -> DecisionLine:
    ended = [each.capacity for each in found if each.capacity is not None]
    if not ended:
        return DecisionLine(NO_FIGURE, "not over" if found else "not run")
    known = sorted(ended, key=lambda capacity: capacity.connections or 0)
    middle = known[(len(known) - 1) // 2]
    parts = [middle.limit_words, f"held {middle.confirmations + 1} times" if middle.connections is not None else ""]
    if len(known) > 1:
        parts.append(f"{known[0].figure}\N{EN DASH}{known[-1].figure}")
    return DecisionLine(middle.figure, ", ".join(filter(None, parts)))


def _code_question(arms: list[Arm]) -> Question:
    answers = []
    for arm in arms:
        mode = dict(arm.settings).get("mode", "managed")
        lines = mode_lines(arm.backend, mode)
        answers.append(
            DecisionLine(NO_FIGURE, "none of ours")
            if lines is None
            else DecisionLine(f"{lines}", f"whole backend {backend_lines(arm.backend):,}")
        )
    meaning = "lines of the loop design that hold code (no blanks, comments, docstrings); shown, never ranked"
    return Question("code lines", "", "tickbench lines", meaning, answers)


def _times(repeats: int) -> str:
    return "once" if repeats == 1 else f"{repeats} times, median (range)"
