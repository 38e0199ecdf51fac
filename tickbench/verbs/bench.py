"""``tickbench bench``: time a fan-out, a wait and a step of the game, and show and save the figures."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from shared.measure.blocks import RulesBlock, RulesReport
from shared.printable import error_line
from shared.system.outputs import NotWrittenError, is_stdout, write_output
from shared.system.variables import option
from tickbench.bench.measure import ClockFigure, FanoutFigure, fanout_arms, lacking, measure_clocks, measure_fanout
from tickbench.bench.page import chart_page, clock_table, fanout_table, rules_table
from tickbench.children.commands import bench_command
from tickbench.children.interrupts import interruptible
from tickbench.children.processes import Nursery
from tickbench.errors import InputError, InterruptedByUserError, RunFailedError
from tickbench.files import check_file, scratch_folder
from tickbench.machine.environment import Environment, collect_environment
from tickbench.machine.pinning import Pinning, away_from_server, choose_cores
from tickbench.machine.system import core_siblings, usable_cores

PARTS = ("fanout", "timer", "rules")
TICKS_A_REPEAT = 40
"""How often each way to wait is timed in a repeat."""
RULES_LIMIT_S = 1800.0
FAILED = 1
FILE = click.Path(dir_okay=False, path_type=Path)


class BenchReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag="tickbench.bench/3"):
    """All raw numbers and the figures made of them; a part that was not asked for is None."""

    environment: Environment
    fanout: list[FanoutFigure] | None = None
    clocks: list[ClockFigure] | None = None
    rules: dict[str, dict[str, list[RulesBlock]]] | None = None


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS), metavar="[fanout|timer|rules]...")
@option(
    "--repeats",
    type=click.IntRange(2, 1000),
    default=12,
    help="How many blocks of each way are timed; all take turns.",
)
@option("--connections", type=click.IntRange(1, 5000), default=1000, help="Connections that a fan-out sends to.")
@option(
    "--snakepit",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Checkout of snakepit-game, whose rules are timed beside ours.",
)
@option("--json", "json_file", type=FILE, metavar="FILE", help="Where all raw numbers are written.")
@option("--chart", "chart_file", type=FILE, metavar="FILE", help="Where a chart of the fan-outs is written, as HTML.")
def bench(
    parts: tuple[str, ...],
    repeats: int,
    connections: int,
    snakepit: Path | None,
    json_file: Path | None,
    chart_file: Path | None,
) -> int:
    """
    Time fan-outs, timers and rules beside the bare call.

    Without a part, all three, in about twenty minutes. Only the ratios of one run mean something.
    """
    asked = parts or PARTS
    check_options(asked, snakepit, json_file, chart_file)
    pinning = choose_cores(usable_cores(), core_siblings)
    console = Console(highlight=False, stderr=json_file is not None and is_stdout(json_file))
    try:
        with interruptible(), away_from_server(pinning), scratch_folder() as scratch:
            report = measure(asked, pinning, scratch, repeats, connections, snakepit, console)
    except InterruptedByUserError as interrupt:
        click.echo("stopped: nothing is written", err=True)
        return interrupt.exit_status
    texts = {json_file: msgspec.json.format(msgspec.json.encode(report))}
    if report.fanout:
        texts[chart_file] = chart_page(report.fanout).encode()
    status = 0
    for file, text in texts.items():
        try:
            if file is not None:
                write_output(file, text)
        except NotWrittenError as error:
            click.echo(error_line(error), err=True)
            status = FAILED
    return status


def check_options(parts: Sequence[str], snakepit: Path | None, json_file: Path | None, chart_file: Path | None) -> None:
    """Raise :class:`InputError` if a file can't be written or read, before anything is measured for it."""
    for name, file in (("--json", json_file), ("--chart", chart_file)):
        check_file(name, file)
    if json_file is not None and chart_file is not None and json_file.resolve() == chart_file.resolve():
        raise InputError(f"--json and --chart are both {json_file}; give each a file of its own")
    if snakepit is not None and not (snakepit / "game.py").is_file():
        raise InputError(f"--snakepit {snakepit} has no game.py; a checkout of 7WebPages/snakepit-game has")
    if chart_file and "fanout" not in parts:
        raise InputError("--chart draws the fan-outs, which are not timed; name the part fanout, or no part")


def measure(
    parts: Sequence[str],
    pinning: Pinning,
    scratch: Path,
    repeats: int,
    connections: int,
    snakepit: Path | None,
    console: Console,
) -> BenchReport:
    """Time what is asked for, one part after the other, and print each when it is done."""
    if pinning.warning:
        console.print(f"[yellow]warning[/yellow]: {pinning.warning}")
    for arm, package in lacking(parts).items():
        console.print(f"{arm} is not timed: it needs {package}, which is not installed; pip install {package} adds it")
    report = BenchReport(environment=collect_environment(pinning))
    if "fanout" in parts:
        with steps("fan-outs", repeats * len(fanout_arms())) as step:
            figures = measure_fanout(pinning, scratch, connections, repeats, step)
        console.print(fanout_table(figures))
        report = msgspec.structs.replace(report, fanout=figures)
    if "timer" in parts:
        with steps("timers", repeats) as step:
            clocks = measure_clocks(pinning, scratch, TICKS_A_REPEAT, repeats, step)
        console.print(clock_table(clocks))
        report = msgspec.structs.replace(report, clocks=clocks)
    if "rules" in parts:
        with console.status("rules"):
            rules = measure_rules(pinning, scratch, snakepit, repeats)
        console.print(rules_table(rules))
        report = msgspec.structs.replace(report, rules=rules)
    return report


def measure_rules(
    pinning: Pinning, scratch: Path, snakepit: Path | None, repeats: int
) -> dict[str, dict[str, list[RulesBlock]]]:
    """
    Run the bench of the rules; return its raw numbers by the number of players, then by game.

    Raises:
        RunFailedError: it failed, took too long, or wrote nothing that can be read.

    """
    file = scratch / "rules.json"
    command = bench_command(file, repeats, snakepit)
    with Nursery() as nursery:
        child = nursery.start("bench of the rules", command, log=scratch / "rules", cpus=pinning.server)
        ended = child.wait(RULES_LIMIT_S)
        child.stop(grace_s=0)
    if not ended or child.exit_status:
        raise RunFailedError(f"the bench of the rules failed{child.last_words()}")
    try:
        return msgspec.json.decode(file.read_bytes(), type=RulesReport).rules
    except (OSError, msgspec.MsgspecError) as error:
        raise RunFailedError(f"the bench of the rules wrote nothing that can be read: {error}") from error


@contextmanager
def steps(words: str, count: int) -> Iterator[Callable[[], None]]:
    """Show a bar of ``count`` steps until the end of the block; what it yields moves it on by one."""
    with Progress(console=Console(stderr=True), transient=True, refresh_per_second=2) as progress:
        task = progress.add_task(words, total=count)
        yield lambda: progress.advance(task)
