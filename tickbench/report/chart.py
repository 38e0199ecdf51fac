"""
The chart of tick lateness: one percentile curve an arm, both axes logarithmic, as HdrHistogram plots them.

Colors that belong to light or dark are left to the page's style sheet. Knows nothing of the page around it.
"""

import html

import plotly.graph_objects as go

from shared.measure.histogram import Histogram
from tickbench.arms import Arm
from tickbench.report.words import pooled_lateness
from tickbench.results import Results

COLORS = {"asyncio": ("#2f7de1", "#15a0b5", "#7a6ff0"), "gevent": ("#e0731d", "#c93f7f", "#b58a00")}
"""Of each backend, for its first arms; told apart with red-green blindness too, and legible on white and on black."""
DASHES = ("solid", "dash", "dot", "dashdot")
LATENESS_TICKS_MS = [digit * 10**power for power in range(-3, 5) for digit in (1, 2, 5)]
POINTS_PER_DECADE = 40
TICKS_BEYOND = 10
"""A percentile is drawn only where at least so many ticks lie beyond it."""
AXIS_TICKS = {2: "50 %", 10: "90 %", 100: "99 %", 1_000: "99.9 %", 10_000: "99.99 %", 100_000: "99.999 %"}


def lateness_chart(results: Results) -> str:
    """Return the chart as an HTML fragment; it needs plotly.js on the page."""
    figure = go.Figure()
    arms = results.record.suite.parsed_arms()
    for arm in arms:
        pooled = pooled_lateness(results, arm.name)
        if pooled.count:
            figure.add_trace(_curve(arm, pooled, _place(arm, arms)))
    _lay_out(figure)
    config = {"displayModeBar": False, "responsive": True}
    fragment: str = figure.to_html(full_html=False, include_plotlyjs=False, config=config, div_id="lateness-chart")
    return fragment


def percentile_points(ticks: int) -> list[float]:
    """Return the percentiles to draw for so many ticks, evenly spaced in the logarithm of what lies beyond them."""
    points = [100 * (1 - 10 ** (-step / POINTS_PER_DECADE)) for step in range(1, 1_000)]
    return [percent for percent in points if ticks * (1 - percent / 100) >= TICKS_BEYOND]


def _place(arm: Arm, arms: list[Arm]) -> int:
    """Return the place of an arm among those of its backend, the one with the fewest settings first: it is solid."""
    own = sorted((each for each in arms if each.backend == arm.backend), key=lambda each: len(each.settings))
    return own.index(arm)


def _curve(arm: Arm, pooled: Histogram, place: int) -> go.Scatter:
    percents = percentile_points(pooled.count)
    colors = COLORS[arm.backend]
    return go.Scatter(
        x=[100 / (100 - percent) for percent in percents],
        y=[pooled.percentile_us(percent) / 1000 for percent in percents],
        name=html.escape(arm.name),
        mode="lines",
        line={"color": colors[place % len(colors)], "dash": DASHES[place % len(DASHES)], "width": 2.5},
        text=[f"{percent:.2f} %" for percent in percents],
        hovertemplate="%{text} of the ticks came within %{y:.2f} ms",
    )


def _lay_out(figure: go.Figure) -> None:
    font = {"family": "system-ui, sans-serif", "size": 13}
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font=font,
        height=420,
        margin={"l": 64, "r": 16, "t": 36, "b": 56},
        legend={"orientation": "h", "yref": "container", "y": 1, "yanchor": "top", "x": 0},
        hovermode="closest",
    )
    figure.update_xaxes(
        type="log",
        title="share of the ticks",
        tickvals=list(AXIS_TICKS),
        ticktext=list(AXIS_TICKS.values()),
        zeroline=False,
    )
    figure.update_yaxes(
        type="log",
        title="tick lateness, ms",
        tickvals=LATENESS_TICKS_MS,
        ticktext=[f"{value:,g}" for value in LATENESS_TICKS_MS],
        zeroline=False,
    )
