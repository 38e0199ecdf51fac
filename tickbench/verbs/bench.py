"""``tickbench bench``: becomes the bench of the pure parts. Knows nothing of what it times."""

import os
import sys

import click

from tickbench.commands import bench_command


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[--json FILE] [--snakepit DIR] [FLAGS]...")
def bench(arguments: tuple[str, ...]) -> None:
    """Time the rules and the encoding."""
    sys.stdout.flush()
    os.execv(sys.executable, bench_command(list(arguments)))  # noqa: S606 - no shell is wanted
