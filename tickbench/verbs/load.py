"""``tickbench load``: make one load run in a child process, and show and save its summary."""

from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console

from shared.measure.summary import LoadSummary, read_summary
from shared.plain import error_line
from shared.system.outputs import NotWrittenError, is_stdout, write_output
from tickbench.children.commands import Commands, LoadRequest, check_load_test, memory_s, ramp_s
from tickbench.children.interrupts import interruptible
from tickbench.children.processes import Nursery
from tickbench.compare.figures import MEMORY
from tickbench.compare.objectives import judge_run, status_of
from tickbench.compare.slo import EXAMPLE, UNTRUSTED_STATUS, Objective, parse_slo
from tickbench.errors import InputError, InterruptedByUserError, RunFailedError
from tickbench.files import check_file, scratch_folder
from tickbench.markup import escape
from tickbench.screen import load_table, print_objectives
from tickbench.target import target_of

VALID, FAILED, WRONG_USAGE, NOT_VALID = 0, 1, 2, UNTRUSTED_STATUS
SLACK_S = 120.0
"""What a load run may take longer than ramp, warm-up and measuring."""
STOP_GRACE_S = 3.0


@click.command()
@click.argument("url")
@click.option(
    "--users",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    envvar="TICKBENCH_USERS",
    help="Connections.",
)
@click.option("--scenario", default="steady", show_default=True, envvar="TICKBENCH_SCENARIO", help="What the users do.")
@click.option(
    "--duration",
    type=click.FloatRange(1, 86_400),
    default=10,
    show_default=True,
    envvar="TICKBENCH_DURATION",
    help="Seconds that are measured.",
)
@click.option(
    "--warm-up",
    type=click.FloatRange(0, 86_400),
    default=2,
    show_default=True,
    envvar="TICKBENCH_WARM_UP",
    help="Seconds before that, which are not measured.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    envvar="TICKBENCH_LOAD_WORKERS",
    help="Processes that share the connections; one carries some 3,000 at 20 Hz.",
)
@click.option(
    "--spawn-rate", type=click.FloatRange(0.01, 1e6), envvar="TICKBENCH_SPAWN_RATE", help="Connects a second."
)
@click.option(
    "--room-size",
    type=click.IntRange(0, 100_000),
    envvar="TICKBENCH_ROOM_SIZE",
    help="Connections a room; 0: all in one.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 100),
    envvar="TICKBENCH_SHARE",
    help="Percent of the users that stall, or that come and go.",
)
@click.option(
    "--echo-rate",
    type=click.FloatRange(0, 10_000),
    envvar="TICKBENCH_ECHO_RATE",
    help="Messages a second of an echo user; 0: the next when the last came back.",
)
@click.option(
    "--echo-bytes",
    type=click.IntRange(0, 1_048_576),
    envvar="TICKBENCH_ECHO_BYTES",
    help="Length of an echo message.",
)
@click.option(
    "--memory",
    type=click.IntRange(0, 100_000),
    envvar="TICKBENCH_LOAD_MEMORY",
    metavar="CONNECTIONS",
    help="Connections to add after the window, to see what one takes in memory: 1000 is enough; 0, the default: none.",
)
@click.option(
    "--slo",
    "slo_text",
    metavar="OBJECTIVES",
    envvar="TICKBENCH_SLO",
    help=f"What must hold, such as '{EXAMPLE}'; exit status 4 if it does not.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    envvar="TICKBENCH_LOAD_OUT",
    help="Where the summary is written, as JSON.",
)
@click.pass_obj
def load(
    commands: Commands,
    /,
    url: str,
    users: int,
    scenario: str,
    duration: float,
    warm_up: float,
    out: Path | None,
    slo_text: str | None,
    **more: float | None,
) -> int:
    """
    Load a server and say what came of it.

    URL begins with http or ws; no path means /connect.

    Exit status: 0 if the figures can be trusted, 3 if not, 4 if an objective is broken by a figure that can, 1 if the
    run failed or its summary could not be written to --out.
    """
    check_load_test()
    target_of(url)
    slo = parse_slo(slo_text) if slo_text is not None else []
    if any(objective.figure == MEMORY for objective in slo) and not more.get("memory"):
        raise InputError(f"an objective on {MEMORY} needs --memory 1000, or it is not measured")
    check_file("--out", out)
    with scratch_folder() as scratch:
        summary_file = scratch / "summary.json"
        request = LoadRequest(url, users, scenario, duration, warm_up, summary_file, passed_on(more))
        try:
            with interruptible():
                status, words = run_load(commands.load(request), scratch, request)
        except InterruptedByUserError as interrupt:
            click.echo("stopped: the load run is ended", err=True)
            return interrupt.exit_status
        except RunFailedError as error:
            click.echo(error_line(error), err=True)
            return FAILED
        return conclude(status, words, summary_file, slo, out)


def passed_on(options: Mapping[str, float | None]) -> dict[str, str | int | float]:
    """Return the options that were given, under the names that the load test has for them."""
    names = {"workers": "processes"}
    given = {names.get(option, option.replace("_", "-")): value for option, value in options.items()}
    return {name: value for name, value in given.items() if value is not None}


def time_limit_s(request: LoadRequest) -> float:
    """Return how long a load run may take, in seconds: ramp, warm-up, measuring, and some more."""
    beside_s = ramp_s(request.users, request.more) + memory_s(request.more) + SLACK_S
    return beside_s + request.warm_up_s + request.duration_s


def run_load(command: list[str], scratch: Path, request: LoadRequest) -> tuple[int, str]:
    """Run the generator to its end; return its exit status and the last line that it printed."""
    console = Console(stderr=True, highlight=False)
    words = f"{request.users} connections, warm-up {request.warm_up_s:g} s, measuring {request.duration_s:g} s"
    with Nursery() as nursery, console.status(escape(words)):
        child = nursery.start("load run", command, log=scratch / "generator.log", folder=scratch)
        try:
            ended = child.wait(time_limit_s(request))
        finally:
            child.stop(STOP_GRACE_S)
    if not ended:
        raise RunFailedError(f"the load run was not over after {SLACK_S:g} s more than it should take")
    last_line = next((line.strip() for line in reversed(child.log_tail()) if line.strip()), "it said nothing")
    return child.exit_status or 0, last_line


def conclude(status: int, last_line: str, summary_file: Path, slo: list[Objective], out: Path | None) -> int:
    """Print the summary and the objectives, write the summary to ``out``; return the exit status."""
    if status == WRONG_USAGE:
        raise InputError(last_line.partition("error: ")[2] or last_line)  # argparse puts its program first
    if status not in (VALID, NOT_VALID):
        click.echo(error_line(f"the load run failed: {last_line}"), err=True)
        return FAILED
    try:
        data = summary_file.read_bytes()
        summary = read_summary(data)
    except (OSError, ValueError) as error:
        click.echo(error_line(f"the load run left no summary that can be read: {error}"), err=True)
        return FAILED
    console = Console(highlight=False, stderr=out is not None and is_stdout(out))  # or words stand in the JSON
    print_summary(summary, console)
    judged = judge_run(slo, summary)
    print_objectives(judged, console)
    if out is not None:
        try:
            write_output(out, data)
        except NotWrittenError as error:
            click.echo(error_line(f"--out {error}"), err=True)
            return FAILED
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
