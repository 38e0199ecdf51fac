"""``tickbench announce``: replace this process by what speaks through a relay."""

import os
import sys

import click

from tickbench.children.commands import findable, python_command

MODULE = "backends.announce"


@click.command()
@click.argument("url")
@click.argument("room")
@click.argument("text")
def announce(url: str, room: str, text: str) -> None:
    """
    Say something to everybody in a room.

    URL is that of the relay which its processes have in common (serve and cluster have it as --relay).
    """
    sys.stdout.flush()
    command = [*python_command(MODULE), "--", url, room, text]
    os.execve(sys.executable, command, findable(os.environ))  # noqa: S606 - no shell is wanted
