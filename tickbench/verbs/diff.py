"""``tickbench diff``: compare two results folders."""

from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tickbench.errors import InputError
from tickbench.markup import escape
from tickbench.report.build import read_document
from tickbench.report.differences import Diff, Difference, compare_documents


@click.command()
@click.argument("before", metavar="A", type=click.Path(path_type=Path))
@click.argument("after", metavar="B", type=click.Path(path_type=Path))
@click.option(
    "--different-machines",
    is_flag=True,
    help="Compare although the machines, or what was run on them, are not the same.",
)
def diff(before: Path, after: Path, *, different_machines: bool) -> int:
    """
    Say what differs between two results folders.

    A and B are folders that tickbench compare wrote. Their runs were not made side by side, so no verdict is drawn: a
    ratio of B to A has Welch's interval, and is said to be significant or not.

    Exit status: 2 if they cannot be compared, such as for another machine, else 0.
    """
    if before.resolve() == after.resolve():
        raise InputError(f"nothing to compare: {before} and {after} are one folder; give two")
    found = compare_documents(read_document(before), read_document(after))
    refuse_unlike(found, told_to=different_machines)
    console = Console(highlight=False)
    for name, (one, other) in {**found.machine, **found.suite, **found.versions}.items():
        console.print(escape(f"{name}: {one} -> {other}"), soft_wrap=True)
    for arms, words in ((found.only_before, "only in A"), (found.only_after, "only in B")):
        if arms:
            console.print(escape(f"{words}: {', '.join(arms)}"), soft_wrap=True)
    console.print(table_of(found.differences))
    for each in found.differences:
        for words in each.why_none:
            console.print(escape(f"{each.arm}, {each.title}, {words}"), soft_wrap=True)
    return 0


def refuse_unlike(found: Diff, *, told_to: bool) -> None:
    """Raise :class:`InputError` if the two are not of one machine and one load, unless told to go on."""
    unlike = {**found.machine, **found.suite}
    if unlike and not told_to:
        words = "; ".join(f"{name}: {one} and {other}" for name, (one, other) in unlike.items())
        raise InputError(f"the two were not made alike ({words}); --different-machines compares them all the same")
    if not found.differences:
        raise InputError("nothing to compare: the two have no arm in common; give folders that have")
    if all(each.ratio is None for each in found.differences):
        raise InputError(
            "nothing to compare: no arm has a figure that can be trusted in the blocks of both; their reports say why"
        )


def table_of(differences: list[Difference]) -> Table:
    """Return the differences as a table, a figure of an arm a row."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("arm")
    table.add_column("figure")
    for title in ("A", "B", "B to A"):
        table.add_column(title, justify="right")
    table.add_column("")
    for each in differences:
        figure = f"{each.title}, {each.unit}" if each.unit else each.title
        ratio = each.ratio.words if each.ratio is not None else "-"
        words = "differs" if each.is_significant else "not significant"
        table.add_row(*map(escape, (each.arm, figure, each.before, each.after, ratio, words)))
    return table
