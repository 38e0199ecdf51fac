"""
The settings of a server and its command line, the same for both backends.

One word from flag to attribute: ``--tick-rate`` = ``TICKBENCH_TICK_RATE`` = :attr:`ServerConfig.tick_rate_hz`.
"""

import logging
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from shared.game.world import Rules
from shared.loops.modes import MODES
from shared.relay.url import RELAYS, RelayUrl
from shared.rooms.lobby import LobbyLimits
from shared.server.flagtypes import DEFAULT_PORT, FieldType, ListType, PortType, RateType, RelayType, ScoresType
from shared.server.frameworks import DEFLATES, FANOUTS, FRAMEWORKS, LAYERS, framework_of, usual_fanout
from shared.server.score_url import ScoreUrl
from shared.system import variables
from shared.system.descriptors import ShortageFilter, allow_many_descriptors
from shared.system.logs import let_nobody_keep_us
from shared.system.outputs import lead_nowhere, occupy_closed_streams
from shared.system.timerfd import has_timers
from shared.system.variables import with_variables
from shared.wire.forwarded import Network, parse_network
from shared.wire.handshake import parse_origin
from shared.wire.hosts import lacks_zone, parse_host, url_host
from shared.wire.session import ConnectionLimits

CLOCKS = ("timerfd", "loop") if has_timers() else ("loop",)
"""Those that this system has, the default first."""
LOOPS = {"asyncio": ("asyncio", "uvloop"), "gevent": ("libev", "libuv")}
"""The event loops of each backend, the default first."""

ACCEPT_LOGGERS = {"asyncio": "asyncio", "gevent": "tickbench.accept"}
"""Where a backend logs that it can't accept a connection."""

LEAST_DESCRIPTORS = 64
"""File descriptors, of which a server takes some 20 for itself."""
DEFAULT_SPEED = 4
"""In cells a second: a field of 50 cells is crossed in 12 s, on a phone, too. 7WebPages/snakepit-game has 2.3."""
MAX_PAD_BYTES = 15_000_000
"""So that a frame stays under the 16 MiB that clients take."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Everything that can be set about a server."""

    backend: str
    host: str
    port: int
    tick_rate_hz: Fraction
    phase: float | None  # share of a period, see due_epoch_us
    speed: Fraction  # of a snake, in cells a second
    mode: str
    workers: int  # child processes of the mode ``process``
    worker_nice: int
    worker_limit_s: float
    framework: str
    fanout: str
    deflate: str
    layer: str | None  # that a framework broadcasts through
    clock: str
    loop: str
    rules: Rules
    limits: ConnectionLimits
    lobby: LobbyLimits
    pad_bytes: int
    seed: str
    scores: ScoreUrl | Path | None
    relay: RelayUrl | None
    echo: bool
    monitor: bool
    origins: frozenset[str]
    trusted_proxies: frozenset[Network]
    tick_budget: float  # of a period; 0 turns it off
    handshake_limit_s: float
    keep_alive_s: float
    stop_limit_s: float
    drain_s: float
    backlog: int
    debug_blocking: bool

    @property
    def period_us(self) -> float:
        """The time from one tick to the next, in us."""
        return 1_000_000 / float(self.tick_rate_hz)

    def due_epoch_us(self, started_us: int) -> int:
        """Return from when due times count: from the start or, with a phase, so much of a period after 1970 began."""
        return started_us if self.phase is None else round(self.phase * self.period_us)

    @property
    def place(self) -> str:
        """Where it is to listen, as in a URL."""
        return f"{url_host(self.host)}:{self.port}"

    @property
    def arm(self) -> str:
        """Its name in a comparison: the backend, and the settings of how it is built that are not the defaults."""
        built, usual = self._built(), _usually_built(self.backend)
        framework = framework_of(self.backend, self.framework)
        usual["fanout"] = usual_fanout(self.deflate)
        usual["deflate"] = framework.usual_deflate(self.fanout)
        usual["layer"] = framework.usual_layer(self.fanout)
        differing = [f"{name.replace('_', '-')}={value}" for name, value in built.items() if value != usual[name]]
        return f"{self.backend}:{','.join(differing)}" if differing else self.backend

    def ready_line(self, address: str, port: int, families: str = "") -> str:
        """
        Return what a server prints as soon as it listens at ``address``, which is shown if ``host`` is a name.

        ``families`` are those that it serves there, where the address does not say it.
        """
        is_name = re.search("[^0-9.]", self.host) and ":" not in self.host
        url = f"http://{url_host(address if is_name else self.host)}:{port}"
        return f"tickbench {self.backend} listening on {url}{f' ({families})' if families else ''}"

    def announce(self, address: str, port: int, *, families: str) -> None:
        """Print the ready line; where stdout can't be written, print it with the reason on stderr."""
        line, why = self.ready_line(address, port, families), "it is closed"
        if sys.stdout is not None:  # as it is where it is closed
            try:
                print(line, flush=True)  # noqa: T201 # whoever starts a server waits for it
                return
            except OSError as error:
                why = str(error.strerror)
                lead_nowhere(sys.stdout.fileno())
        print(f"stdout can't be written ({why}): {line}", file=sys.stderr)  # noqa: T201 # as above

    def settings(self) -> dict[str, object]:
        """Return what ``/stats`` tells of the settings."""
        return {
            **self._built(),
            **self.settings_of_any_stack(),
            "backlog": self.backlog,
            "debug_blocking": self.debug_blocking,
            "relay": self.relay and self.relay.kind,
        }

    def settings_of_any_stack(self) -> dict[str, object]:
        """Return those of the settings that do not say how our own servers are built."""
        return {
            "phase": self.phase,
            "speed": float(self.speed),
            "field": f"{self.rules.width}x{self.rules.height}",
            "max_players": self.rules.max_players,
            "bots": self.rules.bots,
            "bot_steps": self.rules.bot_steps,
            "pad_bytes": self.pad_bytes,
            "seed": self.seed,
            "tick_budget": self.tick_budget,
            "slow_limit_s": self.limits.slow_limit_s,
            "max_connections": self.lobby.max_connections,
        }

    def _built(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in _usually_built(self.backend)}


def _usually_built(backend: str) -> dict[str, object]:
    """Return the settings of how a server is built, which name an arm, with their defaults."""
    return {
        "mode": MODES[0],
        "workers": 1,
        "worker_nice": 0,
        "framework": next(iter(FRAMEWORKS[backend])),
        "fanout": None,  # it depends on deflate, and deflate on it
        "deflate": None,
        "layer": None,  # it depends on framework and fanout
        "clock": CLOCKS[0],
        "loop": LOOPS[backend][0],
    }


def parse_arguments(backend: str, argv: Sequence[str] | None = None, program: str | None = None) -> ServerConfig:
    """
    Read the command line and the environment; on bad input say so in one line and exit with status 2.

    ``program`` is how the server is called in its help, if it is none of ours.
    """

    def build(**values: Any) -> ServerConfig:
        return _build(backend, values)

    names = {"help_option_names": ["-h", "--help"]}
    command = click.command(name=backend, help=f"Serve the game with {backend}.", context_settings=names)(build)
    for option in _options(backend):  # a command appends them, unlike a function
        command = option(command)
    try:
        config = command.main(
            args=None if argv is None else list(argv),
            prog_name=program or f"python -m backends.{backend}_server",
            standalone_mode=False,
        )
    except click.UsageError as error:
        fail_usage(with_variables(error.format_message(), error.ctx))
    if not isinstance(config, ServerConfig):  # --help has been printed
        sys.exit(config)
    return config


def prepare_process(config: ServerConfig) -> None:
    """Allow all file descriptors, occupy those of closed streams, log to a stderr that never blocks; or exit."""
    occupy_closed_streams()
    let_nobody_keep_us()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger(ACCEPT_LOGGERS[config.backend]).addFilter(ShortageFilter())
    least = LEAST_DESCRIPTORS + (config.workers if config.mode == "process" else 0)
    if (limit := allow_many_descriptors()) < least:
        fail_usage(f"no more than {limit} files may be open here; a server needs {least}, see ulimit -n")


def fail_usage(message: str) -> NoReturn:
    """Say what is wrong in one line, with the environment variables that it comes from, and exit with status 2."""
    told = with_variables(message, click.get_current_context(silent=True))
    print("error: " + " ".join(told.split()), file=sys.stderr)  # noqa: T201 # the user is told
    sys.exit(2)


def _flag_of(field: str) -> str:
    """Return the name of the flag that a field has its value from: without the unit."""
    return re.sub(r"_(s|hz|bytes)$", "", field)


def _options(backend: str) -> list[Callable[[Any], Any]]:
    """Return the flags; a default that is not here is that of the field which takes the value, or of the arms."""
    choice, whole, count = click.Choice, click.IntRange, click.IntRange(min=1)
    seconds = click.FloatRange(min=0.01, max=86_400)
    records = (*fields(Rules), *fields(ConnectionLimits), *fields(LobbyLimits))
    defaults: dict[str, Any] = _usually_built(backend) | {_flag_of(each.name): each.default for each in records}

    def option(flag: str, *names: str, **attributes: Any) -> Callable[[Any], Any]:
        name = flag.removeprefix("--").replace("-", "_")
        default = {"default": defaults[name]} if name in defaults else {}
        return variables.option(flag, *names, **default, **attributes)

    return [
        option("--host", default="127.0.0.1", help="Address to listen on."),
        option("--port", type=PortType(0, 65535), default=DEFAULT_PORT, help="0 takes a free one."),
        option("--tick-rate", type=RateType("ticks"), default="20", help="Ticks a second."),
        option(
            "--phase",
            type=float,
            help="Share of a period by which ticks are due after its multiples since 1970; by default due times count "
            "from the server's start.",
        ),
        option(
            "--speed",
            type=RateType("cells"),
            help=f"Cells a second that a snake goes; by default {DEFAULT_SPEED}, or the tick rate if that is less.",
        ),
        option("--mode", type=choice(MODES), help="Game-loop design."),
        option("--workers", type=whole(1, 64), help="Child processes of --mode process."),
        option("--worker-nice", type=whole(0, 19), help="Added to the nice value of the child processes."),
        option("--worker-limit", type=seconds, default=10, help="Seconds a child process may take to answer."),
        option("--framework", type=choice(tuple(FRAMEWORKS[backend])), help="Serves HTTP and WebSocket."),
        option(
            "--fanout",
            type=choice(FANOUTS),
            show_default=f"{usual_fanout(None)}; with --deflate on library",
            help="How a frame is sent.",
        ),
        option(
            "--deflate",
            type=choice(DEFLATES),
            show_default="once; with --fanout library off, with naive what the framework does",
            help="Compress for who offers it: by the framework, or once a room and tick for all of them.",
        ),
        option(
            "--layer",
            type=choice(tuple(LAYERS)),
            show_default=f"{next(iter(LAYERS))}, where there is one",
            help="What Channels broadcasts through with --fanout naive; on Redis, one of the server's own.",
        ),
        option("--clock", type=choice(CLOCKS), help="What wakes the tick."),
        option("--loop", type=choice(LOOPS[backend]), help="Event loop."),
        option("--field", type=FieldType(), default="50x25", help="Size of the field in cells."),
        option("--max-players", type=whole(1, 1000), help="Most snakes in a room."),
        option("--bots", type=whole(0, 1000), help="Snakes of the server's own."),
        option(
            "--bot-steps",
            type=whole(0, 10_000_000),
            help="Cells that all bots together may visit in each tick's search for digits; 0: they wander.",
        ),
        option("--pad", type=whole(0, MAX_PAD_BYTES), default=0, help="Bytes of padding in each tick's frame."),
        option("--seed", default="0", help="Seed of every room's random numbers."),
        option(
            "--scores",
            type=ScoresType(),
            help="What keeps the top scores: an SQLite file, redis://[USER:PASSWORD@]HOST[:PORT][/DB] or "
            "memcached://HOST[:PORT].",
        ),
        option(
            "--relay",
            type=RelayType(),
            help=f"Through what processes share rooms: {RELAYS}.",
        ),
        option("--echo", is_flag=True, help="Serve the WebSocket /echo."),
        option("--monitor", is_flag=True, help="Serve /monitor, a page for operators."),
        option(
            "--origin",
            "origins",
            type=ListType("origin"),
            multiple=True,
            help="Origin whose pages may connect, beside our own; on loopback also accepted as Host; * allows all.",
        ),
        option(
            "--trusted-proxy",
            "trusted_proxies",
            type=ListType("cidr"),
            multiple=True,
            help="Network of proxies whose X-Forwarded-For says where connections come from.",
        ),
        option("--max-connections", type=count, help="Connections beyond this get HTTP 503."),
        option("--max-per-address", type=count, help="Connections from one address beyond this get HTTP 503."),
        option("--max-rooms", type=count, help="Rooms that may be in use at once; connections for more get HTTP 503."),
        option("--room-linger", type=seconds, help="How long an empty room is kept, in s."),
        option(
            "--tick-budget",
            type=click.FloatRange(min=0),
            default=0.8,
            help="Share of the time that ticks may take before newcomers are refused; 0 turns it off.",
        ),
        option("--max-message", type=whole(1, 2**24), help="Bytes of a message."),
        option("--max-messages", type=count, help="Messages a second from one connection."),
        option("--max-faults", type=count, help="Bad messages within --fault-window that close a connection."),
        option("--fault-window", type=seconds, help="Seconds, see --max-faults."),
        option("--new-player-limit", type=seconds, help="Seconds a connection has to send new_player."),
        option("--max-unnamed", type=count, help="Connections without new_player; of more, the oldest are ended."),
        option("--ping-interval", type=seconds, help="Seconds between the server's pings."),
        option("--max-missed-pings", type=count, help="Pings without an answer before a connection is ended."),
        option("--slow-limit", type=seconds, help="Seconds until a connection that does not read is closed."),
        option(
            "--handshake-limit",
            type=seconds,
            default=5,
            help="Seconds a connection has to send a request, and to read the answer.",
        ),
        option(
            "--keep-alive", type=seconds, default=5, help="Seconds from an answer to the next request's first byte."
        ),
        option("--close-limit", type=seconds, help="Seconds a connection has to answer a close frame."),
        option(
            "--stop-limit",
            type=seconds,
            default=3,
            help="Most seconds that a stopping server waits for connections to close.",
        ),
        option(
            "--drain",
            type=click.FloatRange(min=0, max=86_400),
            default=0,
            help="Seconds over which a stopping server closes its connections, one after the other.",
        ),
        option("--backlog", type=count, default=1024, help="Backlog of the listening socket."),
        option("--debug-blocking", is_flag=True, help="Log what blocks the event loop; slows the server."),
    ]


def _checked(flag: str, parse: Callable[[str], R], value: str) -> R:
    try:
        return parse(value)
    except ValueError as error:
        fail_usage(f"{flag}: {error}")


def _build(backend: str, values: dict[str, Any]) -> ServerConfig:
    framework = framework_of(backend, values["framework"])
    values["fanout"] = values["fanout"] or usual_fanout(values["deflate"])
    values["deflate"] = values["deflate"] or framework.usual_deflate(values["fanout"])
    values["layer"] = values["layer"] or framework.usual_layer(values["fanout"])
    name, fanout = values["framework"], values["fanout"]
    complaint = framework.complaint(name, fanout, values["deflate"])
    if complaint := complaint or framework.layer_complaint(name, fanout, values["layer"]):
        fail_usage(complaint)
    if values["relay"] and values["fanout"] == "naive":
        fail_usage(
            "--relay asks for a --fanout that can tell who has missed a frame: not naive, but frame-once or library"
        )
    width, height = values["field"]
    if not values["host"]:
        fail_usage("--host '' is no address; 0.0.0.0 would listen on all of IPv4, :: on all of IPv6 and IPv4")
    host = _checked("--host", parse_host, values["host"])
    if lacks_zone(host):
        fail_usage(f"--host {host} is link-local; name the interface, such as {host}%eth0")
    if values["bots"] > values["max_players"]:
        fail_usage(f"--bots {values['bots']} are more than --max-players {values['max_players']}; at most as many fit")
    tick_rate: Fraction = values["tick_rate"]
    speed: Fraction = values["speed"] or min(Fraction(DEFAULT_SPEED), tick_rate)
    if speed > tick_rate:
        fail_usage(
            f"--speed {float(speed):g} is more than --tick-rate {float(tick_rate):g}; a snake moves once a tick at "
            f"most, so {float(tick_rate):g} or less would be right"
        )
    phase: float | None = values["phase"]
    if phase is not None and not 0 <= phase < 1:
        fail_usage(f"--phase {phase:g} is no share of a tick's period; from 0 to less than 1 would be right")
    pace = speed / tick_rate
    return _filled(
        ServerConfig,
        values,
        backend=backend,
        host=host,
        speed=speed,
        rules=_filled(Rules, values, width=width, height=height, moves=pace.numerator, steps=pace.denominator),
        limits=_filled(ConnectionLimits, values),
        lobby=_filled(LobbyLimits, values),
        origins=frozenset().union(*(_checked("--origin", parse_origin, origin) for origin in values["origins"])),
        trusted_proxies=frozenset(
            _checked("--trusted-proxy", parse_network, each) for each in values["trusted_proxies"]
        ),
    )


def _filled(record: Callable[..., R], values: dict[str, Any], **given: Any) -> R:
    """Return a record: what is not given has the value of the flag that is called as the field, its unit apart."""
    rest = {name: values[_flag_of(name)] for name in record.__annotations__ if name not in given}
    return record(**rest, **given)
