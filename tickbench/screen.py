"""What the terminal shows of load runs and ``doctor``: tables, objectives."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from shared.measure.summary import GroupFigures, LoadSummary, ReturnFigures, StageFigures
from tickbench.compare.figures import FIGURES
from tickbench.compare.objectives import STYLES, Judged
from tickbench.machine.fitness import MachineCheck
from tickbench.markup import escape

LEVEL_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def milliseconds(value: float | None) -> str:
    """Return a duration as text with its unit."""
    return "unknown" if value is None else f"{value:.2f} ms"


def load_table(load: LoadSummary) -> Table:
    """Return one load run's summary as a table."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    for figure in FIGURES:
        table.add_row(figure.title, dimmed(escape(figure.words_of(load)), load, figure.key))
    if load.input_ms is not None and load.input_ms.count:
        words = f"{milliseconds(load.input_ms.p50)}, {milliseconds(load.input_ms.p99)}"
        table.add_row("key to turn p50, p99", dimmed(words, load, "input_ms"))
    if lost := lost_words(load):
        table.add_row("lost", lost)
    if load.returns is not None:
        table.add_row("cut off", dimmed(returns_words(load.returns), load, "returns"))
    for name, group in load.groups.items():
        table.add_row(f"group {escape(name)}", dimmed(group_words(group), load, "groups"))
    for number, stage in enumerate(load.stages, 1):
        table.add_row(f"stage {number}", dimmed(stage_words(stage), load, "stages"))
    return table


def dimmed(words: str, load: LoadSummary, figure: str) -> str:
    """Return words about a figure as markup: dim where it cannot be trusted."""
    return f"[dim]{words}[/dim]" if load.validity.spoiled_by(figure) else words


def returns_words(returns: ReturnFigures) -> str:
    """Sum up the users who were cut off, and those who came back."""
    if not returns.cut:
        return "nobody"
    silence = returns.silence_ms
    words = f"{returns.cut:,} users, {returns.back:,} back, {returns.gone:,} gone for good, {returns.away:,} still away"
    times = f"silence p50 {milliseconds(silence.p50)}, p99 {milliseconds(silence.p99)}, max {milliseconds(silence.max)}"
    return f"{words}; {times}; at most {returns.most_connects_per_second:,} connects a second"


def group_words(group: GroupFigures) -> str:
    """Sum up a group of connections, such as those that stalled or left by plan."""
    words = f"{group.connections.connected:,} connections, lateness p99 {milliseconds(group.tick_lateness_ms.p99)}"
    return f"{words}{_share_words('ticks came', group.ticks_came)}{_share_words('reach', group.reach)}"


def stage_words(stage: StageFigures) -> str:
    """Sum up one part of the measured window."""
    lateness = stage.tick_lateness_ms
    p50, p99 = milliseconds(lateness.p50), milliseconds(lateness.p99)
    words = f"{stage.connections:,} connections at its end, lateness p50 {p50}, p99 {p99}"
    return f"{words}{_share_words('ticks came', stage.ticks_came)}"


def _share_words(name: str, share: float | None) -> str:
    """Return a share (0..1) as words to append, rounded down so that only all is 100 %; empty if it is None."""
    return "" if share is None else f", {name} {math.floor(10_000 * share) / 100:.2f} %"


def lost_words(load: LoadSummary) -> str:
    """Say what became of connections that did not come in or did not stay; empty if all did."""
    counts = load.connections
    kinds = [(counts.refused, "refused"), (counts.timed_out, "timed out"), (counts.closed_early, "closed early")]
    return ", ".join(f"{count:,} {kind}" for count, kind in kinds if count)


def print_objectives(judged: Sequence[Judged], console: Console, whose: str = "") -> None:
    """Print a line an objective: what the figure was, and whether it held; ``whose`` names an arm."""
    for each in judged:
        name = f"{whose}: " if whose else ""
        lead = f"[{STYLES[each.outcome]}]objective {each.outcome}:[/]"
        console.print(f"{lead} {escape(name + each.words)}", soft_wrap=True)


def check_table(checks: list[MachineCheck]) -> Table:
    """Return the findings of ``doctor`` as a table."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for check in checks:
        style = LEVEL_STYLES[check.level]
        table.add_row(f"[{style}]{check.level}[/{style}]", f"[bold]{escape(check.name)}[/bold]", escape(check.words))
    return table
