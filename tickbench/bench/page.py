"""Show the figures of a bench: tables for the terminal and as Markdown, a chart as an HTML page."""

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go
from rich.box import SIMPLE_HEAD
from rich.table import Table

from shared.measure.blocks import RulesBlock
from tickbench.bench.measure import ClockFigure, FanoutFigure
from tickbench.bench.ratios import RatioEstimate, estimate, ratios
from tickbench.bench.read import LOADS, ReadFigure
from tickbench.markup import escape

LEFT = ("arm", "way")
"""The headings of columns that begin on the left."""

LOAD_WORDS = {"alone": "one by one", "together": "fifty connections at once, two each"}

BAR_COLOR = "#2f7de1"
ROW_PIXELS = 34


class Sheet(NamedTuple):
    """A table, to be shown in one way or the other."""

    title: str
    headings: Sequence[str]
    rows: list[Sequence[str]]

    def table(self) -> Table:
        """Return it for the terminal."""
        table = Table(
            title=self.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0, pad_edge=False
        )
        for heading in self.headings:
            table.add_column(heading, justify="left" if heading in LEFT else "right", no_wrap=True)
        for row in self.rows:
            table.add_row(*map(escape, row))
        return table

    def markdown(self) -> str:
        """Return it as Markdown, the title as a line of its own."""
        ends = ["---" if heading in LEFT else "---:" for heading in self.headings]
        lines = [f"| {' | '.join(cells)} |" for cells in (self.headings, ends, *self.rows)]
        return "\n".join([f"{self.title}:", "", *lines, ""])


def fanout_sheet(figures: list[FanoutFigure]) -> Sheet:
    """Return the costs: medians of the repeats, and the 95 % interval of the ratios."""
    rows = [
        (figure.arm, figure.way, f"{figure.cost_us.median:.2f}", words(figure.to_raw, 3), words(figure.to_peer, 3))
        for figure in figures
    ]
    headings = ("arm", "way", "us", "to raw send", "to picows")
    return Sheet("One connection's share of a fan-out: medians, [95 % interval]", headings, list(rows))


def read_sheets(figures: list[ReadFigure]) -> list[Sheet]:
    """Return, for each load, what a message costs the server, and how soon it is answered."""
    sheets = []
    for load, block in LOADS.items():
        shown = [figure for figure in figures if figure.load == load]
        costs = [
            (
                each.arm,
                f"{each.per_second:,.0f}",
                f"{each.cost_us.median:.1f}",
                words(each.cost_to_bare, 2),
                words(each.cost_to_peer, 2),
            )
            for each in shown
        ]
        answers = [
            (
                each.arm,
                f"{each.answered_us.median:.0f}",
                words(each.answered_to_bare, 2),
                words(each.answered_to_peer, 2),
            )
            for each in shown
        ]
        asked = f"{block.rate_hz:,} messages a second, {LOAD_WORDS[load]}"
        how = "medians, [95 % interval]"
        to = ("us", "to the epoll loop", "to picows")
        sheets += [
            Sheet(f"{asked}; the server's CPU time a message: {how}", ("arm", "a second", *to), list(costs)),
            Sheet(f"{asked}; from message to answer: {how}", ("arm", *to), list(answers)),
        ]
    return sheets


def clock_sheet(figures: list[ClockFigure]) -> Sheet:
    """Return how late waits end, in milliseconds."""
    rows = [
        (
            figure.arm,
            f"{figure.rate_hz:g}",
            str(figure.connections),
            figure.way,
            *(f"{us / 1000:.3f}" for us in (figure.p50_us, figure.p99_us)),
            "-" if figure.way == "time.sleep" else words_ms(figure.p99_beyond_sleep_us),
        )
        for figure in figures
    ]
    headings = ("arm", "Hz", "peers", "way", "p50", "p99", "beyond sleep")
    title = "How late a wait ends, ms; its p99 beyond that of time.sleep in between, [95 % interval]"
    return Sheet(title, headings, list(rows))


def words(value: RatioEstimate | None, digits: int) -> str:
    """Return a figure with its interval; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value.median:.{digits}f} [{value.low:.{digits}f}-{value.high:.{digits}f}]"


def words_ms(value: RatioEstimate) -> str:
    """Return a duration in milliseconds with its interval, either of which may be negative."""
    return f"{value.median / 1000:.3f} [{value.low / 1000:.3f} to {value.high / 1000:.3f}]"


def rules_sheet(blocks: dict[str, dict[str, list[RulesBlock]]]) -> Sheet:
    """Return the rules' cost: medians of the repeats, and the 95 % interval of the ratios."""
    rows: list[Sequence[str]] = []
    for players, games in blocks.items():
        us = {name: [block.us_per_snake for block in played] for name, played in games.items()}
        theirs = us.get("snakepit")
        rows.append(
            (
                players,
                words(estimate(us["tickbench"]), 2),
                words(estimate(theirs), 2) if theirs else "-",
                words(estimate(ratios(us["tickbench"], theirs)), 3) if theirs else "-",
            )
        )
    headings = ("players", "tickbench", "snakepit", "ratio")
    return Sheet("Rules and encoding of one step, us a living snake: medians, [95 % interval]", headings, rows)


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
