"""``tickbench announce``: replace this process by what speaks through a relay, which reads its own arguments."""

import os
import sys

import click

from tickbench.children.commands import findable, python_command

MODULE = "backends.announce"


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="URL ROOM TEXT")
def announce(arguments: tuple[str, ...]) -> None:
    """
    Say something to everybody in a room.

    URL is that of the relay which its processes have in common (serve and cluster have it as --relay).
    """
    sys.stdout.flush()
    command = [*python_command(MODULE), *arguments]
    os.execve(sys.executable, command, findable(os.environ))  # noqa: S606 - no shell is wanted
