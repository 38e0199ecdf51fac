"""``tickbench load``: make one load run in a child process, and show and save its summary."""

import re
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from shared.measure.summary import LoadSummary, read_summary
from shared.system.outputs import NotWrittenError, is_stdout, write_output
from shared.system.variables import option
from tickbench.children.commands import LOAD_TEST, Commands, check_load_test, python_command
from tickbench.children.interrupts import interruptible
from tickbench.children.processes import Nursery
from tickbench.compare.figures import MEMORY
from tickbench.compare.objectives import judge_run, status_of
from tickbench.compare.slo import UNTRUSTED_STATUS, Objective, parse_slo, slo_option
from tickbench.errors import InputError, InterruptedByUserError, RunFailedError
from tickbench.files import check_file, scratch_folder
from tickbench.markup import escape
from tickbench.screen import load_table, print_objectives

VALID, FAILED, WRONG_USAGE, NOT_VALID = 0, 1, 2, UNTRUSTED_STATUS
SLACK_S = 120.0
"""What a load run may take longer than it announces."""
ANNOUNCEMENT = re.compile(r"^(.*), takes (\d+) s$", re.MULTILINE)
WEIGHING = "more to be weighed"
"""What stands in the announcement of a run that weighs connections."""
LOOK_S = 0.5
HELP_LIMIT_S = 30.0
STOP_GRACE_S = 3.0


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="URL [FLAGS]...")
@slo_option("the server")
@option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    envvar="TICKBENCH_LOAD_OUT",
    help="Where the summary is written, as JSON.",
)
@click.option("-h", "--help", "asks_help", is_flag=True, help="Show this message, and the flags of the load test.")
@click.pass_context
def load(
    ctx: click.Context, arguments: Sequence[str], *, slo_text: str | None, out: Path | None, asks_help: bool
) -> int:
    """
    Load a server and say what came of it.

    URL begins with http, https, ws or wss; no path means /connect. FLAGS are those of the load test, which is python -m
    loadtests.

    Exit status: 0 if the figures can be trusted, 3 if not, 4 if an objective is broken by a figure that can, 1 if the
    run failed or its summary could not be written to --out.
    """
    check_load_test()
    commands: Commands = ctx.obj or Commands()
    if asks_help:
        click.echo(f"{ctx.get_help()}\n\nFlags of the load test, and variables that stand for them:\n{flags_help()}")
        return 0
    slo = parse_slo(slo_text) if slo_text is not None else []
    check_file("--out", out)
    with scratch_folder() as scratch:
        summary_file = scratch / "summary.json"
        try:
            with interruptible():
                command = commands.load([*arguments, "--out", str(summary_file)])
                needs_weighing = any(objective.figure == MEMORY for objective in slo)
                status, words = run_load(command, scratch, needs_weighing=needs_weighing)
        except InterruptedByUserError as interrupt:
            click.echo("stopped: the load run is ended", err=True)
            return interrupt.exit_status
        return conclude(status, words, summary_file, slo, out)


def flags_help() -> str:
    """Ask the load test which flags it has."""
    with scratch_folder() as scratch, Nursery() as nursery:
        child = nursery.start("load test", [*python_command(LOAD_TEST), "--help"], log=scratch / "help")
        child.wait(HELP_LIMIT_S)
        return child.log_text()


def run_load(command: list[str], scratch: Path, *, needs_weighing: bool) -> tuple[int, str]:
    """Run the generator to its end; return its exit status and the last line that it printed."""
    console = Console(stderr=True, highlight=False)
    with Nursery() as nursery, console.status("the load test starts") as shown:
        child = nursery.start("load run", command, log=scratch / "generator.log")
        deadline, announced = time.monotonic() + SLACK_S, None
        try:
            while not child.wait(LOOK_S) and time.monotonic() < deadline:
                if announced is None and (announced := ANNOUNCEMENT.search(child.log_text())):
                    if needs_weighing and WEIGHING not in announced[1]:
                        raise InputError(f"an objective on {MEMORY} needs --memory 1000, or it is not measured")
                    shown.update(escape(announced[1]))
                    deadline += float(announced[2])
            ended = child.has_ended
        finally:
            child.stop(STOP_GRACE_S)
    if not ended:
        raise RunFailedError(f"the load run was not over after {SLACK_S:g} s more than it should take")
    last_line = next((line.strip() for line in reversed(child.log_tail()) if line.strip()), "it said nothing")
    if child.exit_status == WRONG_USAGE:
        raise InputError(f"{last_line.removeprefix('error: ')}; see 'tickbench load --help'")
    return child.exit_status or 0, last_line


def conclude(status: int, last_line: str, summary_file: Path, slo: list[Objective], out: Path | None) -> int:
    """Print the summary and the objectives, write the summary to ``out``; return the exit status."""
    if status not in (VALID, NOT_VALID):
        raise RunFailedError(f"the load run failed: {last_line}")
    try:
        data = summary_file.read_bytes()
        summary = read_summary(data)
    except (OSError, ValueError) as error:
        raise RunFailedError(f"the load run left no summary that can be read: {error}") from error
    console = Console(highlight=False, stderr=out is not None and is_stdout(out))  # or words stand in the JSON
    print_summary(summary, console)
    judged = judge_run(slo, summary)
    print_objectives(judged, console)
    if out is not None:
        try:
            write_output(out, data)
        except NotWrittenError as error:
            raise RunFailedError(f"--out {error}") from error
    return max(status, status_of(judged))


def print_summary(summary: LoadSummary, console: Console) -> None:
    """Print the figures, whether they can be trusted, and why not."""
    console.print(load_table(summary))
    validity = summary.validity
    console.print("[green]valid[/green]" if validity.ok else "[red]not valid[/red]: the figures cannot be trusted")
    for reason in validity.reasons:
        console.print(f"  reason: {escape(reason)}")
    for warning in validity.warnings:
        console.print(f"  warning: {escape(warning)}")
