"""``tickbench lines``: count the code of each loop design and each framework."""

from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tickbench.report.code_lines import STACKS, code_lines, framework_files, loop_files


@click.command()
def lines() -> int:
    """
    Count the code lines of loop designs and frameworks.

    Without blank lines, comments and docstrings. What is the same in several is counted where it stands: most designs
    build on managed, each framework on the doorkeeper.
    """
    _print_table("Code lines of each loop design", "mode", loop_files())
    _print_table("Code lines of each framework, and of what it stands on", "framework", framework_files())
    return 0


def _print_table(title: str, what: str, rows: dict[str, dict[str, Path]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column(what)
    for stack in STACKS:
        table.add_column(stack, justify="right")
    for name, files in rows.items():
        counts = {stack: str(code_lines(file.read_text("utf-8"))) for stack, file in files.items()}
        table.add_row(name, *(counts.get(stack, "") for stack in STACKS))
    Console(highlight=False).print(table)
