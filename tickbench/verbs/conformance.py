"""``tickbench conformance``: check a server against the protocol, and show and save what it does wrong."""

from pathlib import Path

import click
import msgspec
from rich.console import Console

from shared.printable import error_line
from shared.system.outputs import NotWrittenError, is_stdout, write_output
from tickbench.children.interrupts import interruptible
from tickbench.conformance.asking import check_reachable
from tickbench.conformance.check import Check
from tickbench.conformance.run import examine
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.table import CHECKS
from tickbench.conformance.verdict import CheckResult
from tickbench.conformance.words import fit_words, show_list, show_results, sum_words
from tickbench.errors import InputError, InterruptedByUserError
from tickbench.files import check_file
from tickbench.markup import escape
from tickbench.target import Access, access_options

CONFORMING, FAULTY = 0, 1


@click.command()
@click.argument("url", required=False)
@click.option("--only", multiple=True, metavar="NAME", help="Make only the check of this name. Can be repeated.")
@click.option("--list", "lists", is_flag=True, help="List the checks with what they test.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the findings are written, as JSON.",
)
@access_options
def conformance(
    url: str | None,
    only: tuple[str, ...],
    *,
    lists: bool,
    json_file: Path | None,
    headers: tuple[str, ...],
    insecure: bool,
) -> int:
    """
    Say what a server does wrong, and whether it can be measured.

    URL begins with http, https, ws or wss; no path means /connect. The server may be in any language; a run takes half
    a minute at most, and opens rooms of its own. docs/adding-a-stack.md says more.

    Exit status: 0 if nothing is wrong, 1 if something is, or most could not be tried.
    """
    console = Console(highlight=False, stderr=json_file is not None and is_stdout(json_file))
    checks = chosen(only)
    if lists:
        show_list(console, checks)
        return CONFORMING
    if url is None:
        raise InputError("no URL; give one like http://127.0.0.1:8000")
    check_file("--json", json_file)
    target = Access.of(headers, insecure=insecure).target(url)
    check_reachable(target)
    heard: list[CheckResult] = []
    try:
        with interruptible() as insist, console.status("no check was made yet") as status:

            def hear(result: CheckResult) -> None:
                insist()  # websocket-client swallows whatever comes up while it closes
                heard.append(result)
                status.update(f"{len(heard)} of {len(checks)} checks were made")

            found = examine(ServerUnderTest(target), checks, hear)
            insist()
    except InterruptedByUserError as interrupt:
        show_results(console, heard)
        return interrupt.exit_status
    show_results(console, heard)
    for words in (sum_words(found), fit_words(found)):
        console.print(escape(words), soft_wrap=True)
    if json_file is not None:
        text = msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"
        try:
            write_output(json_file, text)
        except NotWrittenError as error:
            click.echo(error_line(f"--json {error}"), err=True)
            return FAULTY
    return CONFORMING if found.is_conforming else FAULTY


def chosen(names: tuple[str, ...]) -> tuple[Check, ...]:
    """Return the checks of these names, all if there are none; raise :class:`InputError` for an unknown name."""
    known = {check.name for check in CHECKS}
    for name in names:
        if name not in known:
            raise InputError(f"there is no check {name!r}; tickbench conformance --list names them")
    return tuple(check for check in CHECKS if check.name in names or not names)
