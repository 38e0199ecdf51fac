"""``tickbench lines``: count the code of each loop design."""

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tickbench.report.code_lines import STACKS, code_lines, loop_files


@click.command()
def lines() -> int:
    """
    Count the code lines of each loop design on each stack.

    Without blank lines, comments and docstrings. What is the same in several designs is counted where it stands:
    most of them build on managed.
    """
    table = Table(title="Code lines of each loop design", title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("mode")
    for stack in STACKS:
        table.add_column(stack, justify="right")
    for mode, files in loop_files().items():
        table.add_row(mode, *(str(code_lines(files[stack].read_text("utf-8"))) for stack in STACKS))
    Console(highlight=False).print(table)
    return 0
