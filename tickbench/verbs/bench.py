"""``tickbench bench``: time a fan-out, a wait, a step of the game and a message, and show and save the figures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from shared.measure.blocks import RulesBlock, RulesReport
from shared.printable import error_line
from shared.system.outputs import NotWrittenError, is_stdout, write_output
from shared.system.variables import option
from tickbench.bench.arms import arms_of, fanout_ways, lacking, read_commands
from tickbench.bench.frameworks import Framework, find_frameworks
from tickbench.bench.measure import ClockFigure, FanoutFigure, measure_clocks, measure_fanout
from tickbench.bench.page import Sheet, chart_page, clock_sheet, fanout_sheet, read_sheets, rules_sheet
from tickbench.bench.read import ReadFigure, measure_read
from tickbench.children.commands import bench_command
from tickbench.children.interrupts import interruptible
from tickbench.children.processes import Nursery
from tickbench.errors import InputError, InterruptedByUserError, RunFailedError
from tickbench.files import check_file, scratch_folder
from tickbench.machine.environment import Environment, collect_environment
from tickbench.machine.pinning import Pinning, away_from_server, choose_cores
from tickbench.machine.system import core_siblings, usable_cores
from tickbench.markup import escape

PARTS = ("fanout", "timer", "rules", "read")
OF_FRAMEWORKS = ("fanout", "read")
"""The parts that can be timed on other frameworks than the default ones."""
TICKS_A_REPEAT = 40
"""How often each way to wait is timed in a repeat."""
RULES_LIMIT_S = 1800.0
FAILED = 1
FILE = click.Path(dir_okay=False, path_type=Path)


class BenchReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag="tickbench.bench/4"):
    """All raw numbers and the figures made of them; a part that was not asked for is None."""

    environment: Environment
    fanout: list[FanoutFigure] | None = None
    clocks: list[ClockFigure] | None = None
    rules: dict[str, dict[str, list[RulesBlock]]] | None = None
    read: list[ReadFigure] | None = None

    def sheets(self) -> list[Sheet]:
        """Return the tables of all that was timed."""
        return [
            *([fanout_sheet(self.fanout)] if self.fanout else []),
            *([clock_sheet(self.clocks)] if self.clocks else []),
            *([rules_sheet(self.rules)] if self.rules else []),
            *(read_sheets(self.read) if self.read else []),
        ]


class Wish(NamedTuple):
    """What is to be timed, and how often."""

    parts: Sequence[str]
    repeats: int
    connections: int
    snakepit: Path | None
    frameworks: Sequence[str]


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS), metavar="[fanout|timer|rules|read]...")
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
@option(
    "--framework",
    "frameworks",
    envvar="TICKBENCH_BENCH_FRAMEWORK",  # that of serve has one name, of one server
    multiple=True,
    metavar="NAME",
    help="Time fanout and read on this framework, as it is served and as its own documentation has it, and on others "
    "if given again; all: on each that is installed.",
)
@option("--json", "json_file", type=FILE, metavar="FILE", help="Where all raw numbers are written.")
@option("--markdown", "markdown_file", type=FILE, metavar="FILE", help="Where the tables are written, as Markdown.")
@option("--chart", "chart_file", type=FILE, metavar="FILE", help="Where a chart of the fan-outs is written, as HTML.")
def bench(
    parts: tuple[str, ...],
    repeats: int,
    connections: int,
    snakepit: Path | None,
    frameworks: tuple[str, ...],
    json_file: Path | None,
    markdown_file: Path | None,
    chart_file: Path | None,
) -> int:
    """
    Time sends, waits, rules and reads beside the bare call.

    Without a part, all four, in about twenty-five minutes. Only the ratios of one run mean something.
    """
    wish = Wish(parts or (OF_FRAMEWORKS if frameworks else PARTS), repeats, connections, snakepit, frameworks)
    files = {"--json": json_file, "--markdown": markdown_file, "--chart": chart_file}
    check_options(wish, files)
    pinning = choose_cores(usable_cores(), core_siblings)
    console = Console(highlight=False, stderr=any(file is not None and is_stdout(file) for file in files.values()))
    try:
        with interruptible(), away_from_server(pinning), scratch_folder() as scratch:
            report = measure(wish, pinning, scratch, console)
    except InterruptedByUserError as interrupt:
        click.echo("stopped: nothing is written", err=True)
        return interrupt.exit_status
    texts = {json_file: msgspec.json.format(msgspec.json.encode(report))}
    texts[markdown_file] = "\n".join(sheet.markdown() for sheet in report.sheets()).encode()
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


def check_options(wish: Wish, files: Mapping[str, Path | None]) -> None:
    """Raise :class:`InputError` if a file can't be written or read, before anything is measured for it."""
    taken: dict[Path, str] = {}
    for name, file in files.items():
        check_file(name, file)
        if file is not None and (other := taken.setdefault(file.resolve(), name)) != name:
            raise InputError(f"{other} and {name} are both {file}; give each a file of its own")
    if wish.snakepit is not None and not (wish.snakepit / "game.py").is_file():
        raise InputError(f"--snakepit {wish.snakepit} has no game.py; a checkout of 7WebPages/snakepit-game has")
    if files["--chart"] and "fanout" not in wish.parts:
        raise InputError("--chart draws the fan-outs, which are not timed; name the part fanout, or no part")
    if wish.frameworks and not set(wish.parts) & set(OF_FRAMEWORKS):
        raise InputError(f"--framework is of {' and '.join(OF_FRAMEWORKS)}, which are not timed; name one, or no part")


def measure(wish: Wish, pinning: Pinning, scratch: Path, console: Console) -> BenchReport:
    """Time what is asked for, one part after the other, and print each when it is done."""
    if pinning.warning:
        console.print(f"[yellow]warning[/yellow]: {pinning.warning}")
    frameworks, missing = find_frameworks(wish.frameworks, scratch)
    for complaint in missing:
        console.print(f"not timed: {escape(complaint)}")
    arms = [arm for part in wish.parts for arm in arms_of(part, frameworks)]
    for arm, package in lacking(arms).items():
        console.print(f"{arm} is not timed: it needs {package}, which is not installed; pip install {package} adds it")
    report = BenchReport(environment=collect_environment(pinning))
    for part in PARTS:
        if part in wish.parts:
            shown = len(report.sheets())
            report = measure_part(part, report, wish, frameworks, pinning, scratch)
            for sheet in report.sheets()[shown:]:
                console.print(sheet.table())
    return report


def measure_part(
    part: str, report: BenchReport, wish: Wish, frameworks: Sequence[Framework], pinning: Pinning, scratch: Path
) -> BenchReport:
    """Time one part, and return the report with it."""
    repeats, replace = wish.repeats, partial(msgspec.structs.replace, report)
    match part:
        case "fanout":
            ways = fanout_ways(frameworks)
            with steps("fan-outs", repeats * len(ways)) as step:
                return replace(fanout=measure_fanout(pinning, scratch, ways, wish.connections, repeats, step))
        case "timer":
            with steps("timers", repeats) as step:
                return replace(clocks=measure_clocks(pinning, scratch, TICKS_A_REPEAT, repeats, step))
        case "read":
            commands = read_commands(frameworks)
            with steps("reading", repeats * len(commands)) as step:
                return replace(read=measure_read(pinning, scratch, commands, repeats, step))
    with steps("rules", 1):
        return replace(rules=measure_rules(pinning, scratch, wish.snakepit, repeats))


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
