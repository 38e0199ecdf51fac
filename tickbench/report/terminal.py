"""What the terminal shows of comparisons: progress, a line a run, the table of arms."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from tickbench.compare.early_end import suite_to_make
from tickbench.compare.excluded import excluded_shares
from tickbench.compare.figures import BY_KEY, FIGURES, MEMORY, NOT_IN_ALL, Figure
from tickbench.compare.plan import PlannedRun, place_of, time_left_s
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.suite import BLOCKS, TOGETHER, Suite
from tickbench.compare.unfit_machine import why_unfit
from tickbench.markup import escape
from tickbench.report.news import listed
from tickbench.screen import milliseconds
from tickbench.verdict.arm_medians import NO_FIGURE, MedianCell, cell

SO_FAR = ("tick_lateness_ms.p50", "tick_lateness_ms.p99", "interval_error_ms.p99", "server.cpu_us_per_frame")
MOST_COLUMNS = 6
"""More arms than these are rows."""
LONG_FIGURES = ("ticks_came", "tick_lateness_ms.p50", "tick_lateness_ms.p99", "server.cpu_us_per_frame", MEMORY)
REFRESH_PER_SECOND = 2
"""Low, since drawing takes time on the generator's core."""


class ProgressDisplay:
    """Shows how far the comparison is, what runs now, and the figures so far; and prints a line for each run."""

    def __init__(self, console: Console, index: RunIndex) -> None:
        self.console = console
        self.suite = index.suite
        self.index = index
        self.progress = Progress(
            SpinnerColumn(), BarColumn(24), TextColumn("{task.fields[left]}"), TextColumn("{task.description}")
        )
        self.task = self.progress.add_task("", total=None, left="")
        self.now = ""
        self.left_s, self.left_since = 0.0, 0.0
        self._show_progress()

    def run_began(self, planned: PlannedRun) -> None:
        """Show which run begins."""
        self.now = run_words(suite_to_make(self.index), planned)
        self.run_is_at("")

    def block_began(self, planned: Sequence[PlannedRun]) -> None:
        """Show which block begins."""
        self.now = block_words(suite_to_make(self.index), planned)
        self.run_is_at("")

    def run_is_at(self, words: str) -> None:
        """Show what the run is doing now; nothing if ``words`` is empty."""
        self.progress.update(self.task, description=escape(f"{self.now}: {words}" if words else self.now))

    def run_ended(self, *runs: Run) -> None:
        """Print the figures of the run, or of those of a block, and move the progress on."""
        self.index = self.index.adding(*runs)
        self._show_progress()
        for run in runs:
            words = f"{run_words(suite_to_make(self.index), run)}: {run_line(run)}"
            style = "dim" if run.load is not None and not run.is_valid else None
            if not self.console.is_terminal and self.left_s:  # no progress is displayed that would say so
                words += f"; about {in_words(self.left_s)} left"
            self.console.print(escape(words), soft_wrap=True, style=style)

    def waits(self, most_s: float) -> None:
        """Say why nothing is run for a while."""
        unfit = why_unfit(self.index.unfit_runs)
        happened = unfit.happened if unfit is not None else "the machine is unfit"
        words = f"waiting up to {in_words(most_s)} for a machine that can measure: {happened}"
        self.console.print(f"[yellow]{escape(words)}[/yellow]", soft_wrap=True)
        self.now = "waiting"

    def __rich__(self) -> RenderableType:
        """Return what is shown at the bottom of the screen."""
        left_s = max(0.0, self.left_s - (time.monotonic() - self.left_since))
        self.progress.update(self.task, left=f"about {in_words(left_s)} left" if self.left_s else "done")
        return Group(self.so_far(), self.progress)

    def so_far(self) -> Table:
        """Return the figures of the blocks so far, an arm a row."""
        table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
        table.add_column("so far, median")
        table.add_column("valid runs", justify="right")
        figures = [BY_KEY[key] for key in SO_FAR]
        for figure in figures:
            table.add_column(figure.name, justify="right")
        for arm in self.suite.arms:
            runs = self.index.block_runs(arm)
            table.add_row(
                escape(arm),
                f"{sum(run.is_valid for run in runs)}",
                *(_cell_words(cell(each, runs), with_range=False) for each in figures),
            )
        return table

    def _show_progress(self) -> None:
        spent_s = sum(run.took_s for run in self.index.runs)
        self.left_s, self.left_since = time_left_s(self.index), time.monotonic()
        self.progress.update(self.task, completed=spent_s, total=spent_s + self.left_s)


@contextmanager
def progress_display(console: Console, index: RunIndex) -> Iterator[ProgressDisplay]:
    """Show the progress of a comparison, some of whose runs may be made already, until the end of the block."""
    display = ProgressDisplay(console, index)
    with Live(display, console=console, transient=True, refresh_per_second=REFRESH_PER_SECOND):
        yield display


def run_words(suite: Suite, run: PlannedRun | Run) -> str:
    """Say which run of how many it is, at which attempt, of which part, block and arm."""
    place = place_of(suite, run)
    which = f"run {place[0]} of {place[1]}" if place is not None else f"run {run.number}, a search"
    part = f"block {run.block}" if run.part in (BLOCKS, TOGETHER) else run.part
    part = f"{part} together" if run.part == TOGETHER else part
    arm = run.arm if isinstance(run, Run) else run.arm.name
    return f"{which}{_attempt_words(suite, run)}: {part}, {arm}{' again' if run.again else ''}, {run.connections:,}"


def block_words(suite: Suite, planned: Sequence[PlannedRun]) -> str:
    """Say which block of how many it is, at which attempt, and how it is cut into slots."""
    first = planned[0]
    alone, together = ([each for each in planned if each.part == part] for part in (BLOCKS, TOGETHER))
    slots = f"{len(alone)} x {first.slots} slots of {first.slot_s:g} s"
    if together:
        sizes = [str(len(list(own))) for _, own in groupby(together, lambda each: each.group)]
        slots = f"{together[0].slots} slots of {listed(sizes)} together, {slots}"
    return f"block {first.block} of {suite.repeats}{_attempt_words(suite, first)}: {slots}"


def _attempt_words(suite: Suite, run: PlannedRun | Run) -> str:
    # Attempts that ended in a stop do not count, so there may be more than the suite allows.
    of_all = f" of {suite.max_attempts}" if run.attempt <= suite.max_attempts else ""
    return f", attempt {run.attempt}{of_all}" if run.attempt > 1 else ""


def in_words(seconds: float) -> str:
    """Return a duration in words."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def run_line(run: Run) -> str:
    """Sum one run up in a line."""
    if run.load is None:
        return run.words
    lateness = run.load.tick_lateness_ms
    slots = run.load.slots
    kept = f"{slots.kept} of {slots.made} slots, " if slots is not None and slots.kept < slots.made else ""
    return f"{kept}lateness p50 {milliseconds(lateness.p50)}, p99 {milliseconds(lateness.p99)}; {run.words}"


def arm_table(index: RunIndex) -> Table:
    """Return the figures as a table, arms as columns: a terminal is rarely wide enough for them as rows."""
    title = "median over runs, and the range"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("", no_wrap=True)
    arms = {arm: index.block_runs(arm) for arm in index.suite.arms}
    if len(arms) > MOST_COLUMNS:
        return _long_table(table, index, arms)
    for arm in arms:
        table.add_column(escape(arm.replace(":", "\n").replace(",", "\n")), justify="right", overflow="fold")
    valid = [sum(run.is_valid for run in runs) for runs in arms.values()]
    table.add_row("valid runs", *(f"{number} of {suite_to_make(index).repeats}" for number in valid))
    if shares := {each.arm: f"{each.percent:.1f}" for each in excluded_shares(index) if each.part == BLOCKS}:
        table.add_row("slots left out, %", *(shares.get(arm, NO_FIGURE) for arm in arms))
    for figure in FIGURES:
        cells = [cell(figure, runs) for runs in arms.values()]
        if figure.key not in NOT_IN_ALL or any(each.median != NO_FIGURE for each in cells):
            table.add_row(figure.name, *map(_cell_words, cells))
    return table


def _long_table(table: Table, index: RunIndex, arms: dict[str, list[Run]]) -> Table:
    """Return the same, too many arms for columns as rows, with the figures that decide."""
    known = [
        figure for figure in map(BY_KEY.__getitem__, LONG_FIGURES) if any(_has(figure, runs) for runs in arms.values())
    ]
    for title in ("valid runs", *(figure.name for figure in known)):
        table.add_column(title.replace(", ", ",\n"), justify="right", overflow="fold")
    for arm, runs in arms.items():
        valid = f"{sum(run.is_valid for run in runs)} of {suite_to_make(index).repeats}"
        table.add_row(escape(arm), valid, *(_cell_words(cell(figure, runs), with_range=False) for figure in known))
    return table


def _has(figure: Figure, runs: Sequence[Run]) -> bool:
    return cell(figure, runs).median != NO_FIGURE


def _cell_words(cell: MedianCell, *, with_range: bool = True) -> str:
    """Return a cell as markup: dim where its figure cannot be trusted."""
    median = f"[dim]{cell.median}[/dim]" if cell.is_doubtful else cell.median
    return f"{median}\n[dim]{cell.range}[/dim]" if cell.range and with_range else median
