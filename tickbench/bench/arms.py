"""What a bench times: the arms of each part, as ``compare`` names them, and how those are started."""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec

from shared.system.packages import DISTRIBUTIONS
from tickbench.arms import BACKENDS, parse_arm
from tickbench.bench.frameworks import Framework
from tickbench.children.commands import python_command, server_command

PEER = "picows on uvloop"
BARE = "epoll loop"
"""What reads and sends, and does nothing else: the bare calls."""

PEER_MODULE = "tickbench.bench.peer"
BARE_MODULE = "tickbench.bench.bare"

FANOUT_WAYS: dict[str, tuple[str, ...]] = {
    "asyncio": ("raw", "frame-once", "library", "recording"),
    "asyncio:loop=uvloop": ("raw", "frame-once", "library"),
    "gevent": ("raw", "frame-once", "recording"),
    "gevent:loop=libuv": ("raw", "frame-once"),
    "gevent:fanout=library": ("raw", "library"),
}
"""By arm. gevent's library writer has a greenlet a connection, so it is a server of its own."""
PEER_WAYS = ("broadcast",)
CLOCK_ARMS = ("asyncio", "asyncio:loop=uvloop", "gevent", "gevent:loop=libuv")
READ_ARMS = CLOCK_ARMS
NEEDS = {
    "asyncio": ("aiohttp",),
    "asyncio:loop=uvloop": ("aiohttp", "uvloop"),
    "gevent": ("gevent", "geventwebsocket", "flask"),
    "gevent:loop=libuv": ("gevent", "geventwebsocket", "flask", "_cffi_backend"),
    "gevent:fanout=library": ("gevent", "geventwebsocket", "flask"),
    PEER: ("picows", "uvloop"),  # for developers only
}
"""The modules that an arm imports and that may not be installed."""

READ_SETTINGS: dict[str, str | int | float] = {
    "tick-rate": "0.0001",
    "ping-interval": 86400,
    "tick-budget": 0,
    "max-messages": 1000,
}
"""Of a server whose reading is timed: it does nothing else, and takes as many messages as there are."""


def lacking(arms: Iterable[str]) -> dict[str, str]:
    """Return those of these arms that cannot be timed, each with the package that it lacks."""
    lacks = {arm: [package for package in NEEDS.get(arm, ()) if find_spec(package) is None] for arm in arms}
    return {arm: DISTRIBUTIONS.get(packages[0], packages[0]) for arm, packages in lacks.items() if packages}


def arms_of(part: str, frameworks: Sequence[Framework] = ()) -> list[str]:
    """Return the arms of a part, whatever is installed; those of ``frameworks`` instead of the usual ones, if any."""
    match part:
        case "fanout":
            return [*(_framework_ways(frameworks) if frameworks else FANOUT_WAYS), PEER]
        case "read":
            return [BARE, PEER, *(_read_arms(frameworks) if frameworks else READ_ARMS)]
        case "timer":
            return list(CLOCK_ARMS)
    return []


def fanout_ways(frameworks: Sequence[Framework] = ()) -> dict[str, tuple[str, ...]]:
    """Return the arms whose fan-outs can be timed, picows among them, each with its ways to send."""
    ways = {**(_framework_ways(frameworks) if frameworks else FANOUT_WAYS), PEER: PEER_WAYS}
    return {arm: ways[arm] for arm in ways if arm not in lacking(ways)}


def bench_command(arm: str, connections: int) -> list[str]:
    """Return the command of an arm whose fan-outs and waits are timed, with so many connections."""
    if arm == PEER:
        return [*python_command(PEER_MODULE), str(connections)]
    parsed = parse_arm(arm)
    flags = [word for name, value in parsed.settings for word in (f"--{name}", value)]
    return [*python_command(f"{BACKENDS[parsed.backend]}.bench"), str(connections), *flags]


def read_commands(frameworks: Sequence[Framework] = ()) -> dict[str, list[str]]:
    """Return the arms whose reading can be timed, each with the command that serves it."""
    arms = arms_of("read", frameworks)
    return {arm: _read_command(arm) for arm in arms if arm not in lacking(arms)}


def _framework_ways(frameworks: Sequence[Framework]) -> dict[str, tuple[str, ...]]:
    ways = {}
    for framework in frameworks:
        # On asyncio one server can send both ways; on gevent the library's writer is another one.
        ways[framework.arm()] = ("raw", *(way for way in framework.fanouts if framework.can_share(way)))
        for way in framework.fanouts:
            if not framework.can_share(way):
                ways[framework.arm(way)] = ("raw", way)
    return ways


def _read_arms(frameworks: Sequence[Framework]) -> list[str]:
    """Return each as it is served, and as its own documentation would: the others read by the same code."""
    found = [arm for each in frameworks for arm in (each.arm(), each.arm("naive"))]
    able = {each.arm(fanout) for each in frameworks for fanout in each.fanouts}
    return [arm for arm in dict.fromkeys(found) if arm in able]


def _read_command(arm: str) -> list[str]:
    if arm == BARE:
        return python_command(BARE_MODULE)
    if arm == PEER:
        return [*python_command(PEER_MODULE), "read"]
    return server_command(parse_arm(arm), READ_SETTINGS)
