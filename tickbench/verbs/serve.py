"""``tickbench serve``: replace this process by a backend's server, which reads its own flags."""

import os
import sys

import click

from tickbench.arms import BACKENDS
from tickbench.children.commands import findable, python_command
from tickbench.errors import InputError

HELP_FLAGS = ("-h", "--help")


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="{asyncio,gevent} [FLAGS]...")
@click.pass_context
def serve(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """
    Serve the game with one backend.

    'tickbench serve asyncio --help' lists its flags.
    """
    if arguments and arguments[0] in HELP_FLAGS:
        click.echo(ctx.get_help())
        return
    backends = " or ".join(BACKENDS)
    if not arguments:
        raise InputError(f"which backend is to be served is missing; tickbench serve {backends}")
    backend, *flags = arguments
    if backend not in BACKENDS:
        raise InputError(f"there is no backend {backend!r}; tickbench serve {backends}")
    sys.stdout.flush()
    # This process becomes the server: no parent is left that could orphan it.
    command = [*python_command(BACKENDS[backend]), *flags]
    os.execve(sys.executable, command, findable(os.environ))  # noqa: S606 - no shell is wanted
