"""``tickbench compare``: run a suite, or go on with one, and report it."""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click
import msgspec
from click.core import ParameterSource
from rich.console import Console

from shared.printable import error_line
from shared.system.variables import option
from tickbench.arms import with_url
from tickbench.children.commands import Commands, check_load_test
from tickbench.children.interrupts import interruptible
from tickbench.compare.objectives import Judged, judge_median, status_of
from tickbench.compare.orchestrator import run_all
from tickbench.compare.plan import next_run
from tickbench.compare.preflight import check_settings
from tickbench.compare.results import ResultFolder, Results, read_results, read_unfinished
from tickbench.compare.runs import RunIndex
from tickbench.compare.slo import UNTRUSTED_STATUS, Objective, parse_slo, slo_option
from tickbench.compare.suite import Suite, load_suite
from tickbench.errors import InputError, InterruptedByUserError
from tickbench.files import scratch_folder
from tickbench.machine.diagnosis import examine_machine
from tickbench.machine.environment import collect_environment, differences
from tickbench.machine.pinning import Pinning, choose_cores
from tickbench.machine.system import core_siblings, usable_cores
from tickbench.markup import escape
from tickbench.report.build import PAGE, Report, build_report, read_to_go_on
from tickbench.report.news import is_stopped
from tickbench.report.plan_words import announcement, plan_lines
from tickbench.report.terminal import arm_table, progress_display
from tickbench.report.words import verdict_sentences
from tickbench.screen import check_table, print_objectives
from tickbench.target import Access, access_options

DEFAULT_SUITE = "quick"
FAILED = 1
PAIR = 2


@click.command()
@option(
    "--suite",
    "suite_name",
    default=DEFAULT_SUITE,
    metavar="NAME|FILE.toml",
    help="What is compared: a suite that comes with tickbench, or a file.",
)
@option(
    "--arm",
    "arms",
    multiple=True,
    metavar="ARM",
    help="Instead of the suite's arms: BACKEND[:KEY=VALUE,...], such as gevent:fanout=naive, or url=wss://HOST:PORT. "
    "Can be repeated.",
)
@option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="results",
    metavar="DIR",
    help="Where the folder with the results is made.",
)
@option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="DIR",
    envvar=None,
    help="Go on with a comparison that was broken off: make the runs that its folder lacks.",
)
@option(
    "--plan",
    is_flag=True,
    envvar=None,
    help="Only say what would be compared with what, at which level, and how long it would take; run nothing.",
)
@slo_option("every arm")
@access_options
@click.pass_context
def compare(
    ctx: click.Context,
    suite_name: str,
    arms: Sequence[str],
    out: Path,
    resume: Path | None,
    slo_text: str | None,
    headers: tuple[str, ...],
    *,
    plan: bool,
    insecure: bool,
) -> int:
    """
    Run every arm of a suite and report it.

    Arms are interleaved, or measured side by side in slots, where a suite says so; results and report go to a folder of
    their own. A user and a password of a url= arm are kept in none of them.

    Ctrl-C ends all processes and reports the runs that are finished; --resume goes on from there. Exit status: 0 if
    every arm has a finished run, valid or not; 1 if an arm has none; 3 if it stopped as the machine cannot measure;
    with objectives, 4 if an arm breaks one, 3 if none does but a figure of an arm can be trusted in no run.
    """
    slo = parse_slo(slo_text) if slo_text is not None else []
    check_load_test()
    commands = replace(ctx.obj, access=Access.of(headers, insecure=insecure))
    console = Console(highlight=False)
    if plan:
        if resume is not None:
            raise InputError("--plan is of a comparison that is not begun; leave --resume out")
        return tell_plan(suite_to_run(suite_name, arms, commands), commands, console)
    with scratch_folder():
        pass  # every run makes one: where none can be made, it is said now
    if resume is not None:
        given = [name for name in ("suite_name", "arms", "out") if _was_typed(ctx, name)]
        if given:
            raise InputError("--resume goes on with the suite of the folder; leave --suite, --arm and --out out")
    try:
        with console.status("looking at all settings"):
            folder, begun = reopen(resume, commands) if resume is not None else begin(suite_name, arms, out, commands)
    except InterruptedByUserError as interrupt:
        return interrupt.exit_status
    pinning = begun.environment.machine.pinning
    stopped = run_suite(begun.index, pinning, folder, commands, console)
    report = conclude(folder, console, stopped)
    if stopped:
        if slo:
            console.print("[yellow]objectives not judged:[/yellow] the comparison was stopped before its end")
        return stopped
    if report is None or report.results.index.lacking():
        return FAILED
    return tell_objectives(slo, report.results.index, console)


def begin(suite_name: str, arms: Sequence[str], out: Path, commands: Commands) -> tuple[ResultFolder, Results]:
    """Make the folder of a new comparison; raise :class:`InputError` if something of the suite cannot be started."""
    suite = suite_to_run(suite_name, arms, commands)
    check_settings(suite, commands)
    folder = ResultFolder.create(out, suite, datetime.now().astimezone())
    environment = collect_environment(cores_of(suite))
    folder.write("environment.json", environment)
    return folder, read_unfinished(folder.path)


def cores_of(suite: Suite) -> Pinning:
    """Return the cores of server and generator."""
    return choose_cores(usable_cores(), core_siblings, suite.server_cores)


def suite_to_run(suite_name: str, arms: Sequence[str], commands: Commands) -> Suite:
    """Return the suite, with other arms if some are given; raise :class:`InputError` if it is none."""
    take_login = commands.access.take_login
    suite = load_suite(suite_name, take_login)
    return with_arms(suite, [with_url(arm, take_login) for arm in arms]) if arms else suite


def tell_plan(suite: Suite, commands: Commands, console: Console) -> int:
    """Print what a suite would run; raise :class:`InputError` if something of it cannot be started."""
    check_settings(suite, commands)
    for line in (announcement(suite, 0), *plan_lines(suite)):
        console.print(escape(line), soft_wrap=True)
    return 0


def with_arms(suite: Suite, arms: list[str]) -> Suite:
    """Return the suite with other arms, in all its parts; verdicts on arms that are gone go with them."""
    named = [arm.name for arm in msgspec.structs.replace(suite, arms=arms, again=None, compare=[]).parsed_arms()]
    again = suite.again if suite.again in named else None
    kept = [arm for arm in suite.compare if arm in named]
    compare = kept if len(kept) >= PAIR and kept[0] == suite.compare[0] else []
    verdicts = suite.verdicts if again and compare else []
    changed = msgspec.structs.replace(
        suite,
        arms=named,
        again=again,
        compare=compare,
        at_once=[arm for arm in suite.at_once if arm in compare],
        verdicts=verdicts,
        may_end_early=suite.may_end_early and bool(verdicts),
        sides=[msgspec.structs.replace(side, arms=[]) for side in suite.sides],
        searches=[msgspec.structs.replace(search, arms=[]) for search in suite.searches],
    )
    changed.check()
    return changed


def reopen(path: Path, commands: Commands) -> tuple[ResultFolder, Results]:
    """Open the folder of a comparison that was broken off; raise :class:`InputError` if it cannot go on here."""
    path = path.resolve()  # results/latest is to lead to the folder, not to itself
    begun = read_to_go_on(path)
    changed = differences(begun.environment, collect_environment(cores_of(begun.record.suite)))
    if changed:
        words = "; ".join(f"{name} was {before}, is {now}" for name, (before, now) in changed.items())
        raise InputError(f"{path} cannot go on: {words}; its runs would not be comparable, begin a new comparison")
    if next_run(begun.index) is not None:
        check_settings(begun.record.suite, commands)
    folder = ResultFolder(path)
    folder.hold()
    begun = read_to_go_on(path)  # another may have made runs until just now
    folder.forget_unfinished()
    if next_run(begun.index) is None:
        return folder, begun  # nothing is left to run, so no resumption is recorded
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    record = msgspec.structs.replace(begun.record, resumed_at=[*begun.record.resumed_at, now])
    folder.write("suite.json", record)
    return folder, begun


def run_suite(index: RunIndex, pinning: Pinning, folder: ResultFolder, commands: Commands, console: Console) -> int:
    """Make the runs, showing how far they are; return 0, or the exit status if the user or the machine stopped them."""
    if next_run(index) is None:
        console.print(f"nothing to do: every run is there already ({len(index.runs)})", soft_wrap=True)
        return 0
    console.print(escape(announcement(index.suite, len(index.runs))), soft_wrap=True)
    if len(index.suite.compare) > PAIR:  # of a pair it is plain
        for line in plan_lines(index.suite):
            console.print(escape(line), soft_wrap=True)
    if pinning.warning:
        console.print(f"[yellow]warning:[/yellow] {escape(pinning.warning)}")
    try:
        with interruptible(), progress_display(console, index) as display:
            is_whole = run_all(index, pinning, folder, commands, display)
    except InputError as error:
        click.echo(error_line(error), err=True)
        return FAILED
    except InterruptedByUserError as interrupt:
        console.print("stopped: all processes are ended, what is finished is kept")
        return interrupt.exit_status
    return 0 if is_whole else UNTRUSTED_STATUS


def conclude(folder: ResultFolder, console: Console, stopped: int) -> Report | None:
    """Write the report of the runs that ended, and print its summary; return it, None if it cannot be made."""
    report = None
    try:
        report = build_report(folder.path)
        folder.point_latest_here()
        print_summary(folder, report, console)
    except InputError as error:
        console.print(f"no report: {escape(str(error))}", soft_wrap=True)
        with suppress(InputError):  # the figures of the runs that are there
            console.print(arm_table(read_results(folder.path).index))
    if stopped:
        place = shlex.quote(str(folder.path))
        console.print(f"go on with: tickbench compare --resume {escape(place)}", soft_wrap=True)
    return report


def print_summary(folder: ResultFolder, report: Report, console: Console) -> None:
    """Print what came out, and what is known of a machine that cannot measure."""
    news, basis = verdict_sentences(report.document)
    console.print(f"[bold]{escape(news)}[/bold]")
    console.print(arm_table(report.results.index))
    console.print(escape(basis))
    for each in report.document.comparisons.primary:
        if each.to_decide is not None:
            console.print(escape(f"{each.title}, {each.verdict_words}: {each.to_decide.words}"), soft_wrap=True)
    if is_stopped(report.results.index) and (found := [check for check in examine_machine() if check.level != "ok"]):
        console.print("tickbench doctor says of this machine:")
        console.print(check_table(found))
    console.print(f"report: {escape(str(folder.path / PAGE))}", soft_wrap=True)


def tell_objectives(slo: list[Objective], index: RunIndex, console: Console) -> int:
    """Say of each arm whether the median of its runs holds each objective; return the exit status."""
    judged: list[Judged] = []
    for arm in index.suite.arms if slo else []:
        loads = [run.load for run in index.block_runs(arm) if run.load is not None]
        own = [judge_median(objective, loads) for objective in slo]
        print_objectives(own, console, arm)
        judged += own
    return status_of(judged)


def _was_typed(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
