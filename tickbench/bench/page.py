"""Show the figures of a bench: tables for the terminal, a chart as an HTML page."""

from collections.abc import Sequence

import plotly.graph_objects as go
from rich.box import SIMPLE_HEAD
from rich.table import Table

from shared.measure.blocks import RulesBlock
from tickbench.bench.measure import ClockFigure, FanoutFigure
from tickbench.bench.ratios import RatioEstimate, estimate, ratios

BAR_COLOR = "#2f7de1"
ROW_PIXELS = 34


def fanout_table(figures: list[FanoutFigure]) -> Table:
    """Return a table of the costs: medians of the repeats, and the 95 % interval of the ratios."""
    headings = ("arm", "way", "us", "to raw send", "to picows")
    table = _table("One connection's share of a fan-out: medians, [95 % interval]", headings)
    for figure in figures:
        table.add_row(
            figure.arm, figure.way, f"{figure.cost_us.median:.2f}", words(figure.to_raw, 3), words(figure.to_peer, 3)
        )
    return table


def clock_table(figures: list[ClockFigure]) -> Table:
    """Return a table of how late waits end, in milliseconds."""
    headings = ("arm", "Hz", "peers", "way", "p50", "p99", "beyond sleep")
    table = _table("How late a wait ends, ms; its p99 beyond that of time.sleep in between, [95 % interval]", headings)
    for figure in figures:
        table.add_row(
            figure.arm,
            f"{figure.rate_hz:g}",
            str(figure.connections),
            figure.way,
            *(f"{us / 1000:.3f}" for us in (figure.p50_us, figure.p99_us)),
            "-" if figure.way == "time.sleep" else words_ms(figure.p99_beyond_sleep_us),
        )
    return table


def words(value: RatioEstimate | None, digits: int) -> str:
    """Return a figure with its interval; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value.median:.{digits}f} [{value.low:.{digits}f}-{value.high:.{digits}f}]"


def words_ms(value: RatioEstimate) -> str:
    """Return a duration in milliseconds with its interval, either of which may be negative."""
    return f"{value.median / 1000:.3f} [{value.low / 1000:.3f} to {value.high / 1000:.3f}]"


def rules_table(blocks: dict[str, dict[str, list[RulesBlock]]]) -> Table:
    """Return a table of the rules' cost: medians of the repeats, and the 95 % interval of the ratios."""
    headings = ("players", "tickbench", "snakepit", "ratio")
    table = _table("Rules and encoding of one step, us a living snake: medians, [95 % interval]", headings)
    for players, games in blocks.items():
        us = {name: [block.us_per_snake for block in played] for name, played in games.items()}
        theirs = us.get("snakepit")
        table.add_row(
            players,
            words(estimate(us["tickbench"]), 2),
            words(estimate(theirs), 2) if theirs else "-",
            words(estimate(ratios(us["tickbench"], theirs)), 3) if theirs else "-",
        )
    return table


def chart_page(figures: list[FanoutFigure]) -> str:
    """Draw the ratios to the raw send, the interval as a whisker; return one page of HTML that needs no network."""
    shown = [(f"{figure.arm}, {figure.way}", figure.to_raw) for figure in reversed(figures) if figure.to_raw]
    bars = go.Bar(
        y=[name for name, _ in shown],
        x=[ratio.median for _, ratio in shown],
        error_x={
            "type": "data",
            "array": [ratio.high - ratio.median for _, ratio in shown],
            "arrayminus": [ratio.median - ratio.low for _, ratio in shown],
        },
        orientation="h",
        marker={"color": BAR_COLOR},
    )
    chart = go.Figure(bars)
    chart.update_layout(
        title="Cost of a fan-out, as a multiple of the bare send to the same sockets",
        template="simple_white",
        font={"family": "system-ui, sans-serif", "size": 13},
        height=160 + ROW_PIXELS * len(shown),
        margin={"l": 240, "r": 32, "t": 64, "b": 56},
    )
    chart.update_xaxes(title="median and its 95 % interval", rangemode="tozero", showgrid=True)
    chart.add_vline(x=1, line={"dash": "dot", "width": 1})
    page: str = chart.to_html(include_plotlyjs=True, config={"displayModeBar": False, "responsive": True})
    return page


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("arm", "way") else "right", no_wrap=True)
    return table
