"""``tickbench cluster``: run several servers of one backend behind HAProxy, each with rooms of its own."""

import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from shared.system.programs import find_program
from shared.system.variables import SERVICE_PORT, option
from tickbench.arms import BACKENDS
from tickbench.children.checking import CommandLine, check_command_lines
from tickbench.children.commands import Commands
from tickbench.children.interrupts import interruptible
from tickbench.cluster.plan import HERE, Cluster, Relay
from tickbench.cluster.ports import address_of, inner_ports, outer_port
from tickbench.cluster.programs import REDIS, check_haproxy, find_programs
from tickbench.cluster.rendering import (
    COMPOSE,
    COMPOSE_HAPROXY,
    HAPROXY,
    REDIS_CONF,
    RELAY_SOCKET,
    SUPERVISORD,
    render,
    render_compose,
)
from tickbench.cluster.running import run
from tickbench.errors import InputError, InterruptedByUserError
from tickbench.files import scratch_folder

DEFAULT_PORT = 8000
MOST_PROCESSES = 64
OURS = ("--host", "--port", "--relay")
"""Flags of ``serve`` that a server of a cluster is given by us."""
REDIS_KIND = "redis"
OWN_RELAYS = (REDIS_KIND, "zmq", "unix")
"""Relays that a cluster can have as a program of its own."""


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
@click.option(  # without a variable: that is of the servers' own flag, which has another meaning
    "--relay",
    metavar="redis|zmq|unix|URL",
    help="Have all rooms in all processes, through a relay of the cluster's own, or one that is there.",
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
    relay: str | None,
    folder: Path | None,
) -> int:
    """
    Serve the game with several processes behind HAProxy.

    Each has rooms of its own, or with --relay all have all rooms. FLAGS are those of 'tickbench serve BACKEND', for
    every server.
    """
    commands: Commands = ctx.obj or Commands()
    if taken := [flag for flag in OURS if any(word == flag or word.startswith(f"{flag}=") for word in flags)]:
        raise InputError(f"{taken[0]} of a server is the cluster's to choose; it has a flag of that name before the --")
    address = address_of(host)
    _check_names(address, flags)

    def planned(port: int, ports: Sequence[int], folder: Path) -> Cluster:
        *ports, whole_port, relay_port = ports
        return Cluster(
            backend=backend,
            flags=tuple(flags),
            host=host,
            address=address,
            port=port,
            ports=tuple(ports),
            whole_port=whole_port,
            certificate=certificate,
            relay=_relay(relay, relay_port, folder) if relay else None,
        )

    try:
        with interruptible():
            if folder is not None:
                if port == 0 or port + processes + 2 > 65535:
                    raise InputError(f"--port {port} leaves no ports behind it to the servers; 8000 would")
                whole = planned(port, range(port + 1, port + processes + 3), folder.resolve())
                _check_flags(whole, commands)
                _write(whole, folder)
                return 0
            programs = find_programs(redis=relay == REDIS_KIND)
            with scratch_folder() as scratch:
                whole = planned(outer_port(address, port), inner_ports(processes + 2), scratch)
                _check_flags(whole, commands)
                render(whole, scratch, programs["haproxy"], programs.get(REDIS, REDIS))
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


def _relay(word: str, port: int, folder: Path) -> Relay:
    """Return the relay that a word names: one of the cluster's own, or the one at a URL, which a server checks."""
    urls = {
        REDIS_KIND: f"redis://{HERE}:{port}",
        "zmq": f"zmq+tcp://{HERE}:{port}",
        "unix": f"unix:{folder / RELAY_SOCKET}",
    }
    return Relay(urls[word], word, port) if word in OWN_RELAYS else Relay(word)


def _check_flags(whole: Cluster, commands: Commands) -> None:
    if commands.check is not None:
        relay = ["--relay", whole.relay.url] if whole.relay else []
        lines = [CommandLine(f"a server of {whole.backend}", whole.module, [*whole.flags, *relay])]
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
    names = [SUPERVISORD, HAPROXY, COMPOSE, COMPOSE_HAPROXY]
    if whole.relay and whole.relay.kind == REDIS_KIND:
        names.append(REDIS_CONF)
    for name in names:
        if (folder / name).exists():
            raise InputError(f"{folder / name} is there already; another folder would be right, or to take it away")
    folder.mkdir(parents=True, exist_ok=True)
    render(whole, folder.resolve(), find_program("haproxy") or "haproxy", find_program(REDIS) or REDIS)
    render_compose(whole, folder)
    click.echo(f"{', '.join(names[:-1])} and {names[-1]} are in {folder}")
