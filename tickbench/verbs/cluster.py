"""``tickbench cluster``: run several servers of one backend behind HAProxy, each with rooms of its own."""

import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from shared.system.variables import SERVICE_PORT, option
from tickbench.arms import BACKENDS
from tickbench.children.checking import CommandLine, check_command_lines
from tickbench.children.commands import Commands
from tickbench.children.interrupts import interruptible
from tickbench.cluster.plan import Cluster
from tickbench.cluster.ports import address_of, inner_ports, outer_port
from tickbench.cluster.programs import check_haproxy, find_program, find_programs
from tickbench.cluster.rendering import COMPOSE, COMPOSE_HAPROXY, HAPROXY, SUPERVISORD, render, render_compose
from tickbench.cluster.running import run
from tickbench.errors import InputError, InterruptedByUserError
from tickbench.files import scratch_folder

DEFAULT_PORT = 8000
MOST_PROCESSES = 64
OURS = ("--host", "--port")
"""Flags of ``serve`` that a server of a cluster is given by us."""


def _port(ctx: click.Context, parameter: click.Parameter, value: Any) -> int:
    """Return a port; that of a variable that Kubernetes sets is nobody's choice."""
    if SERVICE_PORT.fullmatch(value):
        return DEFAULT_PORT
    port: int = click.IntRange(0, 65535).convert(value, parameter, ctx)
    return port


@click.command()
@click.argument("backend", type=click.Choice(tuple(BACKENDS)))
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[-- FLAGS]...")
@option("--processes", type=click.IntRange(1, MOST_PROCESSES), required=True, help="Servers, each with its own rooms.")
@option("--host", default="127.0.0.1", help="Address that HAProxy listens on.")
@option("--port", default=str(DEFAULT_PORT), callback=_port, metavar="INTEGER", help="Its port; 0 takes a free one.")
@option(
    "--tls",
    "certificate",
    type=click.Path(exists=True, dir_okay=False, readable=True, resolve_path=True, path_type=Path),
    metavar="CERT.pem",
    help="Certificate and key in one file: HAProxy speaks TLS.",
)
@click.option(
    "--render",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Only write the settings, and a compose file, into this folder.",
)
@click.pass_context
def cluster(
    ctx: click.Context,
    backend: str,
    flags: Sequence[str],
    *,
    processes: int,
    host: str,
    port: int,
    certificate: Path | None,
    folder: Path | None,
) -> int:
    """
    Serve the game with several processes behind HAProxy.

    Each has rooms of its own. FLAGS are those of 'tickbench serve BACKEND', for every server.
    """
    commands: Commands = ctx.obj or Commands()
    if taken := [flag for flag in OURS if any(word == flag or word.startswith(f"{flag}=") for word in flags)]:
        raise InputError(
            f"{taken[0]} of a server is the cluster's to choose; before the -- it says where HAProxy listens"
        )
    address = address_of(host)
    _check_names(address, flags)

    def planned(port: int, ports: Sequence[int]) -> Cluster:
        return Cluster(
            backend=backend,
            flags=tuple(flags),
            host=host,
            address=address,
            port=port,
            ports=tuple(ports),
            certificate=certificate,
        )

    try:
        with interruptible():
            if folder is not None:
                if port == 0 or port + processes > 65535:
                    raise InputError(f"--port {port} leaves no ports behind it to the servers; 8000 would")
                _check_flags(backend, flags, commands)
                _write(planned(port, range(port + 1, port + processes + 1)), folder)
                return 0
            programs = find_programs()
            _check_flags(backend, flags, commands)
            with scratch_folder() as scratch:
                whole = planned(outer_port(address, port), inner_ports(processes))
                render(whole, scratch, programs["haproxy"])
                check_haproxy(programs["haproxy"], scratch)
                run(
                    whole,
                    scratch,
                    programs["supervisord"],
                    programs["supervisorctl"],
                    lambda: print(whole.ready_line, flush=True),
                )
    except InterruptedByUserError:
        pass  # as a server ends: with 0
    return 0


def _check_flags(backend: str, flags: Sequence[str], commands: Commands) -> None:
    if commands.check is not None:
        lines = [CommandLine(f"a server of {backend}", BACKENDS[backend], list(flags))]
        check_command_lines(lines, commands.check, os.environ)


def _check_names(address: str, flags: Sequence[str]) -> None:
    """
    Raise :class:`InputError` if nobody could come in from outside.

    The servers listen on loopback, where they answer to such names only, and to those that ``--origin`` has.
    """
    is_named = "TICKBENCH_ORIGIN" in os.environ or any(word.partition("=")[0] == "--origin" for word in flags)
    if not (is_named or ipaddress.ip_address(address.partition("%")[0]).is_loopback):
        words = "the servers have to be told by which names people come"
        raise InputError(f"--host {address}: {words}; -- --origin http://NAME:PORT would, or -- --origin '*' for any")


def _write(whole: Cluster, folder: Path) -> None:
    """Write all settings into a folder, over none that is there."""
    for name in (HAPROXY, SUPERVISORD, COMPOSE, COMPOSE_HAPROXY):
        if (folder / name).exists():
            raise InputError(f"{folder / name} is there already; another folder would be right, or to take it away")
    folder.mkdir(parents=True, exist_ok=True)
    render(whole, folder.resolve(), find_program("haproxy") or "haproxy")
    render_compose(whole, folder)
    click.echo(f"{SUPERVISORD}, {HAPROXY}, {COMPOSE} and {COMPOSE_HAPROXY} are in {folder}")
