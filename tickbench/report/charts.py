"""
Draw the charts of the HTML page.

Colors that differ between light and dark are left to the page's style sheet.
"""

import html
import statistics
from collections.abc import Callable, Iterator, Sequence

import plotly.graph_objects as go
from msgspec import Struct

from shared.measure.histogram import Histogram
from tickbench.arms import Arm
from tickbench.compare.search import StepOutcome
from tickbench.compare.slo import parse_slo
from tickbench.compare.suite import CapacitySearch
from tickbench.report.chart_data import StallPoint
from tickbench.report.decision import is_heavy
from tickbench.report.document import CurvePoint, Document
from tickbench.report.words import SPOILED

COLORS = {
    "asyncio": ("#2f7de1", "#15a0b5", "#7a6ff0", "#3d8f6a", "#5b6bb5"),
    "gevent": ("#e0731d", "#c93f7f", "#b58a00"),
}
"""Colors of each backend's first arms; told apart with red-green blindness too, and legible on white and on black."""
OTHER_COLORS = ("#7f8896", "#4c9a54", "#a0522d")
SPOILED_COLOR = "#b3b9c2"
"""Color of what cannot be trusted, whatever the arm: paler than any arm, on white and on black."""
DASHES = ("solid", "dash", "dot", "dashdot")
LATENESS_TICKS_MS = [digit * 10**power for power in range(-3, 6) for digit in (1, 2, 5)]
LOAD_TICKS = [digit * 10**power for power in range(6) for digit in (1, 2, 5)]
POINTS_PER_DECADE = 40
TICKS_BEYOND = 10
"""A percentile is drawn only where at least so many ticks lie beyond it."""
AXIS_TICKS = {2: "50 %", 10: "90 %", 100: "99 %", 1_000: "99.9 %", 10_000: "99.99 %", 100_000: "99.999 %"}
HEIGHT = 420
LEGEND_LINE, FEW_ARMS = 20, 5
"""More arms than these make a chart higher, a line of its legend each: on a telephone each has a line of its own."""


class Chart(Struct, frozen=True):
    """One chart: its HTML needs plotly.js on the page."""

    name: str
    title: str
    words: str
    """What it shows and how to read it."""
    fragment: str


class Style(Struct, frozen=True):
    """How an arm is drawn, the same in all charts."""

    color: str
    dash: str


def all_charts(document: Document) -> list[Chart]:
    """Return the charts for which the folder has something to draw."""
    styles = styles_of(document.suite.parsed_arms())
    charts = (
        lateness_chart(document, styles),
        *load_charts(document, styles),
        stall_chart(document, styles),
        loops_chart(document),
    )
    return [chart for chart in charts if chart is not None]


def marked(arm: str, is_spoiled: bool) -> str:
    """Return an arm's name, with a mark where its figures cannot be trusted."""
    return f"{arm}{SPOILED}" if is_spoiled else arm


def faded(styles: dict[str, Style], arm: str, is_spoiled: bool) -> Style:
    """Return how an arm is drawn: grey where its figures cannot be trusted, each grey one with other dashes."""
    place = list(styles).index(arm)
    return Style(SPOILED_COLOR, DASHES[place % len(DASHES)]) if is_spoiled else styles[arm]


def styles_of(arms: Sequence[Arm]) -> dict[str, Style]:
    """Return how each arm is drawn: the one of a backend with the fewest settings is solid."""
    styles = {}
    for backend in (*COLORS, None):  # None: all arms that are not one of our backends
        colors = COLORS.get(backend or "", OTHER_COLORS)
        own = [arm for arm in arms if (arm.backend if arm.backend in COLORS else None) == backend]
        own.sort(key=lambda arm: len(arm.settings))
        for place, arm in enumerate(own):
            styles[arm.name] = Style(colors[place % len(colors)], DASHES[place % len(DASHES)])
    return styles


# Percentiles


def lateness_chart(document: Document, styles: dict[str, Style]) -> Chart | None:
    """Draw one percentile curve an arm, both axes logarithmic, as HdrHistogram plots them."""
    figure = go.Figure()
    for each in document.lateness:
        pooled = Histogram.from_summary(each.lateness_ms)
        if pooled.count:
            name, style = marked(each.arm, each.is_spoiled), faded(styles, each.arm, each.is_spoiled)
            figure.add_trace(_percentile_curve(name, pooled, style))
    figure.update_xaxes(
        type="log", title="share of the ticks", tickvals=list(AXIS_TICKS), ticktext=list(AXIS_TICKS.values())
    )
    _milliseconds(figure, "tick lateness, ms")
    words = (
        "A point says: this share of the ticks arrived within so many milliseconds of their due time. Lower is better, "
        "and the right end is what players complain about. A tick that never came is counted as late."
    )
    return _chart("lateness", "How late ticks arrive", words, figure)


def percentile_points(ticks: int) -> list[float]:
    """Return the percentiles to draw for so many ticks, evenly spaced in the logarithm of what lies beyond them."""
    points = [100 * (1 - 10 ** (-step / POINTS_PER_DECADE)) for step in range(1, 1_000)]
    return [percent for percent in points if ticks * (1 - percent / 100) >= TICKS_BEYOND]


def _percentile_curve(arm: str, pooled: Histogram, style: Style) -> go.Scatter:
    percents = percentile_points(pooled.count)
    return go.Scatter(
        x=[100 / (100 - percent) for percent in percents],
        y=[pooled.percentile_us(percent) / 1000 for percent in percents],
        name=html.escape(arm),
        mode="lines",
        line={"color": style.color, "dash": style.dash, "width": 2.5},
        text=[f"{percent:.2f} %" for percent in percents],
        hovertemplate="%{text} of the ticks came within %{y:.2f} ms",
    )


# Over connections


def load_charts(document: Document, styles: dict[str, Style]) -> Iterator[Chart | None]:
    """Draw what each search saw: lateness and CPU over connections."""
    for search in document.suite.searches:
        points = [point for point in document.curves if point.search == search.name]
        figure = _over_load(points, styles, lambda point: point.lateness_p99_ms)
        _milliseconds(figure, "tick lateness p99, ms")
        _add_bound(figure, search)
        words = (
            f"p99 of tick lateness at every load that the search for capacity tried. {search.description} A cross did "
            f"not hold ({search.slo}); an open circle could not be measured."
        )
        yield _chart(f"lateness-{search.name}", f"Lateness over connections, {search.name}", words, figure)
        figure = _over_load(points, styles, lambda point: point.cpu_percent)
        figure.update_yaxes(title="server CPU, % of one core", rangemode="tozero")
        words = "How much of its core the server process took, its children included."
        yield _chart(f"cpu-{search.name}", f"CPU over connections, {search.name}", words, figure)


OUTCOMES: tuple[StepOutcome, ...] = ("held", "spoiled", "lost", "generator", "unclear", "failed")
"""From the best to the worst."""
SPOILED_OUTCOMES: tuple[StepOutcome, ...] = ("spoiled", "lost", "generator", "unclear")
SYMBOLS = {"held": "circle", "failed": "x", "unclear": "x"} | dict.fromkeys(
    ("generator", "lost", "spoiled"), "circle-open"
)


def _over_load(
    points: list[CurvePoint], styles: dict[str, Style], read: Callable[[CurvePoint], float | None]
) -> go.Figure:
    figure = go.Figure()
    for arm, style in styles.items():
        own = [point for point in points if point.arm == arm and read(point) is not None]
        if own:
            figure.add_trace(_load_curve(arm, own, style, read))
    figure.update_xaxes(
        type="log", title="connections", tickvals=LOAD_TICKS, ticktext=[f"{load:,}" for load in LOAD_TICKS]
    )
    return figure


def _load_curve(
    arm: str, points: list[CurvePoint], style: Style, read: Callable[[CurvePoint], float | None]
) -> go.Scatter:
    """Draw one arm: the median of each load, marked by the worst that came of it."""
    loads = sorted({point.connections for point in points})
    at = {load: [point for point in points if point.connections == load] for load in loads}
    worst = [max((point.outcome for point in at[load]), key=OUTCOMES.index) for load in loads]
    return go.Scatter(
        x=loads,
        y=[statistics.median(value for point in at[load] if (value := read(point)) is not None) for load in loads],
        name=html.escape(arm),
        mode="lines+markers",
        line={"color": style.color, "dash": style.dash, "width": 2},
        marker={
            "symbol": [SYMBOLS[outcome] for outcome in worst],
            "size": 9,
            "color": [SPOILED_COLOR if outcome in SPOILED_OUTCOMES else style.color for outcome in worst],
        },
        text=[f"{outcome}, {len(at[load])} runs" for load, outcome in zip(loads, worst, strict=True)],
        hovertemplate="%{x:,} connections: %{y:.1f} (%{text})",
    )


def _add_bound(figure: go.Figure, search: CapacitySearch) -> None:
    loads = [load for trace in figure.data for load in trace.x]
    for objective in parse_slo(search.slo):
        if loads and objective.figure == "tick_lateness_ms.p99":
            bound = go.Scatter(
                x=[min(loads), max(loads)],
                y=[objective.bound, objective.bound],
                name=f"objective, {objective.bound:g} ms",
                mode="lines",
                line={"dash": "dot", "color": "#888", "width": 1.5},
                hoverinfo="skip",
            )
            figure.add_trace(bound)


# A run with a stall


def stall_chart(document: Document, styles: dict[str, Style]) -> Chart | None:
    """Draw the share of ticks that came to those who read while others had stopped, over the time of one run."""
    side = next((side for side in document.suite.sides if side.scenario == "stall"), None)
    if side is None:
        return None
    figure = go.Figure()
    for stall in document.stalls:
        style = faded(styles, stall.arm, stall.is_spoiled)
        figure.add_trace(_stall_curve(marked(stall.arm, stall.is_spoiled), stall.points, style))
    figure.update_xaxes(title="seconds since the others stopped reading")
    figure.update_yaxes(title="ticks that came, % of those due", rangemode="tozero")
    words = (
        f"The side {side.name}: {side.description} At the beginning of the window some stop reading for good. Shown is "
        "what the others got: a server that waits for the stalled ones sends nothing to anybody."
    )
    return _chart("stall", "Time line of a run with stalled clients", words, figure)


def _stall_curve(arm: str, points: Sequence[StallPoint], style: Style) -> go.Scatter:
    return go.Scatter(
        x=[point.at_s for point in points],
        y=[point.came_percent for point in points],
        name=html.escape(arm),
        mode="lines",
        line={"color": style.color, "dash": style.dash, "width": 2.5, "shape": "hvh"},
        hovertemplate="%{x:.1f} s: %{y:.0f} % of the ticks",
    )


# Loop designs


def loops_chart(document: Document) -> Chart | None:
    """Draw pings beside a heavy tick, by loop design on both stacks."""
    side = next((side for side in document.suite.sides if is_heavy(side)), None)
    if side is None:
        return None
    figure = go.Figure()
    for backend in dict.fromkeys(each.backend for each in document.loop_pings):
        own = {each.mode: each for each in document.loop_pings if each.backend == backend}
        color = COLORS.get(backend, OTHER_COLORS)[0]
        bars = go.Bar(
            x=list(own),
            y=[each.ping_p99_ms for each in own.values()],
            name=backend,
            marker={"color": [SPOILED_COLOR if each.is_spoiled else color for each in own.values()]},
            text=[SPOILED.strip() if each.is_spoiled else "" for each in own.values()],
            hovertemplate="%{x}: %{y:.1f} ms %{text}",
        )
        figure.add_trace(bars)
    figure.update_layout(barmode="group")
    _milliseconds(figure, "ping p99, ms")
    words = (
        f"The side {side.name}: {side.description} A ping is answered between ticks, so it waits for the rules unless "
        "these run elsewhere. The median, and no verdict; docs/loop-designs has an essay on each."
    )
    return _chart("loops", "Loop designs with a heavy tick", words, figure)


# Layout


def _milliseconds(figure: go.Figure, title: str) -> None:
    ticks = [f"{value:,g}" for value in LATENESS_TICKS_MS]
    figure.update_yaxes(type="log", title=title, tickvals=LATENESS_TICKS_MS, ticktext=ticks)


def _chart(name: str, title: str, words: str, figure: go.Figure) -> Chart | None:
    """Return a figure as a chart; None if nothing is drawn in it."""
    if not figure.data:
        return None
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        height=HEIGHT + LEGEND_LINE * max(0, len(figure.data) - FEW_ARMS),
        margin={"l": 64, "r": 16, "t": 64, "b": 56},
        legend={"orientation": "h", "yref": "container", "y": 1, "yanchor": "top", "x": 0},
        hovermode="closest",
        showlegend=True,
    )
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(zeroline=False)
    config = {"displayModeBar": False, "responsive": True}
    fragment: str = figure.to_html(full_html=False, include_plotlyjs=False, config=config, div_id=f"chart-{name}")
    return Chart(name, title, words, fragment)
