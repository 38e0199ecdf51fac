"""
The command ``tickbench``: loads and runs the verb that is asked for, and reports what is wrong in one line.

Exit status: 1 for a run that failed, 2 for wrong usage, 130 for Ctrl-C, else the verb's.
"""

import importlib
import os
from typing import Any

from shared.printable import error_line
from shared.system.packages import missing_words, needed_by
from tickbench.streams import steady_streams

with needed_by("tickbench"):
    import click

    from shared.system.variables import with_variables
    from tickbench.children.commands import Commands
    from tickbench.errors import InputError, RunFailedError

VERBS = {
    "serve": "tickbench.verbs.serve:serve",
    "cluster": "tickbench.verbs.cluster:cluster",
    "announce": "tickbench.verbs.announce:announce",
    "load": "tickbench.verbs.load:load",
    "conformance": "tickbench.verbs.conformance:conformance",
    "compare": "tickbench.verbs.compare:compare",
    "report": "tickbench.verbs.report:report",
    "diff": "tickbench.verbs.diff:diff",
    "bench": "tickbench.verbs.bench:bench",
    "doctor": "tickbench.verbs.doctor:doctor",
    "lines": "tickbench.verbs.lines:lines",
}
"""Verb to ``module:attribute``; only the module of the verb that is asked for is imported."""
EXTRAS = {
    "serve": "server",
    "cluster": "server",
    "announce": "server",
    "load": "load",
    "conformance": "load",
    "doctor": "load",
}
"""Verb to the extra of pyproject.toml that it needs; the other verbs need :data:`ALL_EXTRAS`."""
ALL_EXTRAS = "compare"
FAILED_STATUS, USAGE_STATUS = 1, 2
INTERRUPTED_STATUS = 130


class VerbGroup(click.Group):
    """A group whose commands are loaded from :data:`VERBS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click hands it over
        """Return the verbs in the order in which a newcomer needs them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Load one verb."""
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name].partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ImportError as error:
            words = missing_words(error, f"tickbench {cmd_name}", EXTRAS.get(cmd_name, ALL_EXTRAS))
            if words is None:
                raise
            return _verb_that_lacks(cmd_name, words)
        return command


@click.group(
    cls=VerbGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
)
@click.version_option(package_name="tickbench", message="%(package)s %(version)s")
@click.pass_context
def tickbench(ctx: click.Context) -> None:
    """On which Python concurrency stack should a real-time multiplayer server run? Measure it."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: list[str] | None = None, commands: Commands | None = None) -> int:
    """Run one verb and return the exit status; ``commands`` is how children are started."""
    with steady_streams() as stdout:
        status = _run(arguments, commands or Commands())
    return status or int(stdout.failed)


def _run(arguments: list[str] | None, commands: Commands) -> int:
    try:
        os.getcwd()  # noqa: PTH109 # raises if the folder is gone
    except OSError as error:
        return complain(f"the working folder is gone ({error.strerror}); cd to one that is there")
    try:
        status: Any = tickbench.main(arguments, prog_name="tickbench", obj=commands, standalone_mode=False)
    except RunFailedError as error:
        return complain(str(error), FAILED_STATUS)
    except click.ClickException as error:
        return complain(_in_one_line(error))
    except OSError as error:
        if error.filename is None:
            raise
        return complain(f"{error.filename} can't be used ({error.strerror}); look at its permissions, and its disk")
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED_STATUS
    return status if isinstance(status, int) else 0


def complain(message: str, status: int = USAGE_STATUS) -> int:
    """Say in one line what is wrong; return the exit status, by default that of wrong usage."""
    click.echo(error_line(message), err=True)
    return status


def _verb_that_lacks(name: str, words: str) -> click.Command:
    """Return a stand-in for a verb whose packages are missing: it is listed, and fails with ``words``."""

    def say(**_: Any) -> None:
        raise InputError(words)

    anything = click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)
    settings = {"ignore_unknown_options": True}
    return click.Command(name, settings, say, [anything], short_help=words, add_help_option=False)


def _in_one_line(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, InputError):
        return with_variables(error.message, context)
    message = error.format_message().strip().rstrip(".")
    path = context.command_path if context is not None else "tickbench"
    return f"{with_variables(f'{message[:1].lower()}{message[1:]}', context)}; see '{path} --help'"
