"""What the terminal shows: progress, tables, one line of an error. Knows nothing of what is run, or how."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from shared.measure.summary import GroupFigures, LoadSummary, StageFigures
from tickbench.checks import Check, validity_words
from tickbench.figures import FIGURES, ArmRow, Cell
from tickbench.plan import PlannedRun
from tickbench.results import Run

LEVEL_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}
REFRESH_PER_SECOND = 2
"""Seldom: it runs on the generator's core."""


class ProgressDisplay:
    """Shows one bar, what runs now, and a line with the figures of each run that ended."""

    def __init__(self, console: Console, progress: Progress, runs: int) -> None:
        self.console = console
        self.progress = progress
        self.runs = runs
        self.task = progress.add_task("", total=runs)
        self.arm = ""

    def run_began(self, planned: PlannedRun) -> None:
        """Show which run begins."""
        self.arm = planned.arm.name
        self.run_is_at("")

    def run_is_at(self, words: str) -> None:
        """Show what it is about."""
        self.progress.update(self.task, description=escape(f"{self.arm}: {words}" if words else self.arm))

    def run_ended(self, run: Run) -> None:
        """Print its figures and move on."""
        self.console.print(escape(f"run {run.number}/{self.runs}  {run.arm}  {run_line(run)}"), soft_wrap=True)
        self.progress.advance(self.task)


@contextmanager
def progress_display(console: Console, runs: int) -> Iterator[ProgressDisplay]:
    """Show the progress of ``runs`` runs, until the end of the block."""
    columns = (
        SpinnerColumn(),
        BarColumn(24),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, refresh_per_second=REFRESH_PER_SECOND) as progress:
        yield ProgressDisplay(console, progress, runs)


def run_line(run: Run) -> str:
    """Sum one run up in a line."""
    words = validity_words(run)
    if run.load is None:
        return words
    lateness = run.load.tick_lateness_ms
    return f"lateness p50 {milliseconds(lateness.p50)}, p99 {milliseconds(lateness.p99)}; {words}"


def milliseconds(value: float | None) -> str:
    """Return a duration as text with its unit."""
    return "unknown" if value is None else f"{value:.2f} ms"


def arm_table(rows: list[ArmRow]) -> Table:
    """Lay the figures out with the arms as columns: a terminal is rarely wide enough for them as rows."""
    title = "median over runs, and the range"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("", no_wrap=True)
    for row in rows:
        table.add_column(escape(row.arm.replace(":", "\n").replace(",", "\n")), justify="right", overflow="fold")
    table.add_row("valid runs", *(row.runs_words for row in rows))
    for index, figure in enumerate(FIGURES):
        name = f"{figure.title}{f', {figure.unit}' if figure.unit else ''}"
        table.add_row(name, *(_cell_words(row.cells[index]) for row in rows))
    return table


def _cell_words(cell: Cell) -> str:
    return f"{cell.median}\n[dim]{cell.range}[/dim]" if cell.range else cell.median


def load_table(load: LoadSummary) -> Table:
    """Lay one load run's summary out."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    for figure in FIGURES:
        value = figure.read(load)
        words = "unknown" if value is None else f"{figure.words(value)} {figure.unit}".rstrip()
        table.add_row(figure.title, words)
    if load.input_ms is not None and load.input_ms.count:
        table.add_row("key to turn p50, p99", f"{milliseconds(load.input_ms.p50)}, {milliseconds(load.input_ms.p99)}")
    if lost := lost_words(load):
        table.add_row("lost", lost)
    for name, group in load.groups.items():
        table.add_row(f"group {escape(name)}", group_words(group))
    for number, stage in enumerate(load.stages, 1):
        table.add_row(f"stage {number}", stage_words(stage))
    return table


def group_words(group: GroupFigures) -> str:
    """Sum up connections that stalled, or left, by plan."""
    lateness, reach = group.tick_lateness_ms, group.reach
    words = f"{group.connections.connected:,} connections, lateness p99 {milliseconds(lateness.p99)}"
    return words if reach is None else f"{words}, reach {100 * reach:.2f} %"


def stage_words(stage: StageFigures) -> str:
    """Sum up one part of the measured window."""
    lateness = stage.tick_lateness_ms
    p50, p99 = milliseconds(lateness.p50), milliseconds(lateness.p99)
    return f"{stage.connections:,} connections at its end, lateness p50 {p50}, p99 {p99}"


def lost_words(load: LoadSummary) -> str:
    """Say what became of connections that did not come in or did not stay; empty if all did."""
    counts = load.connections
    kinds = [(counts.refused, "refused"), (counts.timed_out, "timed out"), (counts.closed_early, "closed early")]
    return ", ".join(f"{count:,} {kind}" for count, kind in kinds if count)


def check_table(checks: list[Check]) -> Table:
    """Lay the findings of ``doctor`` out."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for check in checks:
        style = LEVEL_STYLES[check.level]
        table.add_row(f"[{style}]{check.level}[/{style}]", f"[bold]{escape(check.name)}[/bold]", escape(check.words))
    return table
