"""``tickbench compare``: runs a suite and reports it. Knows nothing of how a run is made."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.markup import escape

from tickbench import machine
from tickbench.arms import parse_arms
from tickbench.commands import Commands
from tickbench.environment import collect_environment
from tickbench.errors import InputError, InterruptedByUserError
from tickbench.figures import arm_rows
from tickbench.interrupts import interruptible
from tickbench.orchestrator import run_all
from tickbench.pinning import Pinning, choose_cores
from tickbench.plan import PlannedRun, estimate_s, make_plan
from tickbench.report.build import PAGE, build_report
from tickbench.report.words import basis_sentence
from tickbench.results import ResultFolder, Results
from tickbench.screen import arm_table, progress_display
from tickbench.suite import Suite, load_suite

DEFAULT_SUITE = "quick"


@click.command()
@click.option(
    "--suite",
    "suite_name",
    default=DEFAULT_SUITE,
    show_default=True,
    metavar="NAME|FILE.toml",
    envvar="TICKBENCH_SUITE",
    help="What is compared: a suite that comes with tickbench, or a file.",
)
@click.option(
    "--arm",
    "arms",
    multiple=True,
    metavar="ARM",
    envvar="TICKBENCH_ARM",
    help="Instead of the suite's arms: BACKEND[:KEY=VALUE,...], such as gevent:fanout=naive. Can be repeated.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="results",
    show_default=True,
    metavar="DIR",
    envvar="TICKBENCH_OUT",
    help="Where the folder with the results is made.",
)
@click.pass_obj
def compare(commands: Commands, suite_name: str, arms: Sequence[str], out: Path) -> int:
    """
    Run every arm of a suite and report it.

    Arms are interleaved, each run has fresh processes; results and report go to a folder of their own.

    Ctrl-C ends all processes and reports the runs that are finished. Exit status: 0 if every arm has a finished run,
    valid or not; 1 if an arm has none.
    """
    suite = load_suite(suite_name)
    if arms:
        suite = msgspec.structs.replace(suite, arms=[arm.name for arm in parse_arms(list(arms))])
    console = Console(highlight=False)
    pinning = choose_cores(machine.usable_cores(), machine.core_siblings)
    folder = ResultFolder.create(out, suite, datetime.now().astimezone())
    stopped = run_suite(suite, make_plan(suite), pinning, folder, commands, console)
    results = conclude(folder, console, stopped)
    if stopped:
        return stopped
    return 0 if results is not None and all(row.finished for row in arm_rows(results)) else 1


def run_suite(
    suite: Suite, plan: list[PlannedRun], pinning: Pinning, folder: ResultFolder, commands: Commands, console: Console
) -> int:
    """Make the runs, showing how far they are; return 0, or the exit status if the user stopped them."""
    console.print(announcement(suite, plan))
    if pinning.warning:
        console.print(f"[yellow]warning:[/yellow] {escape(pinning.warning)}")
    try:
        with interruptible():
            folder.write("environment.json", collect_environment(pinning))
            with progress_display(console, len(plan)) as display:
                run_all(suite, plan, pinning, folder, commands, display)
    except InterruptedByUserError as interrupt:
        return interrupt.exit_status
    return 0


def conclude(folder: ResultFolder, console: Console, stopped: int) -> Results | None:
    """Report the runs that ended, on disk and on the screen; return them, None if there is none."""
    if stopped:
        console.print("stopped: all processes are ended, what is finished is kept")
    try:
        results = build_report(folder.path)
    except InputError as error:
        console.print(f"no report: {escape(str(error))}", soft_wrap=True)
        return None
    folder.point_latest_here()
    console.print(arm_table(arm_rows(results)))
    console.print(escape(basis_sentence(results)))
    console.print(f"report: {escape(str(folder.path / PAGE))}", soft_wrap=True)
    return results


def announcement(suite: Suite, plan: list[PlannedRun]) -> str:
    """Say what is about to happen and how long it takes."""
    seconds = estimate_s(suite, len(plan))
    duration = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    return (
        f"{len(plan)} runs: {len(suite.arms)} arms x {suite.repeats} repeats, {suite.connections} connections, "
        f"{suite.duration_s:g} s measured each; about {duration}"
    )
