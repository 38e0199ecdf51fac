"""
Read the names of arms, which are the servers that a comparison compares.

``backend[:key=value,...]`` is a backend with the settings that differ from the defaults of ``serve``, where a key is a
flag of ``serve`` without its dashes; with ``processes=N`` it is a cluster of as many, ``relay`` being its flag, too;
``url=ws://...`` is a server that runs already; any other name is a command line
in the suite's ``[commands]``, with ``{port}`` in place of the port that it shall listen on, and ``{phase}``, where it
can be told, in place of when in a tick's period its ticks shall be due.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from functools import lru_cache

from msgspec import Struct

from tickbench.errors import InputError
from tickbench.target import target_of

BACKENDS = {"asyncio": "backends.asyncio_server", "gevent": "backends.gevent_server"}
"""Name to module: ``python -m MODULE`` serves."""
SET_BY_COMPARE = frozenset({"host", "port", "tick-budget", "bots", "seed", "tick-rate", "speed"})
"""Flags that must be the same in all arms, or that the run sets: an arm cannot set them."""

GRAMMAR = "an arm is BACKEND[:KEY=VALUE,...], for example gevent:fanout=naive, or url=ws://HOST:PORT/PATH"
URL_PREFIX = "url="
PORT_PLACE = "{port}"
PROCESSES, RELAY = "processes", "relay"
"""The settings that are flags of ``tickbench cluster``: the second with the first, else it is one of ``serve``."""
PHASE = "phase"
"""The flag of ``serve`` that a comparison sets so that ticks of arms which run together do not meet."""
PHASE_PLACE = "{phase}"
COMMAND_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
ANY_NUMBER = f"{PROCESSES}=*"
"""Of a suite: as many arms as there are powers of two up to the number of the server's cores, two at least."""
_SETTING = re.compile(r"([a-z][a-z-]*)=([^,=\s]+)")


class Arm(Struct, frozen=True):
    """One arm; ``settings`` keeps the order in which they were given."""

    backend: str
    """One of :data:`BACKENDS`, or the name of a command, or empty for a URL."""
    settings: tuple[tuple[str, str], ...] = ()
    command: str | None = None
    """The command line that starts a server which is not one of ours."""
    url: str | None = None
    """The URL of a server that runs already."""

    @property
    def name(self) -> str:
        """The canonical spelling; :func:`parse_arm` takes it back."""
        if self.url is not None:
            return f"{URL_PREFIX}{self.url}"
        if not self.settings:
            return self.backend
        return f"{self.backend}:{','.join(f'{key}={value}' for key, value in self.settings)}"

    @property
    def is_cluster(self) -> bool:
        """Whether it is several processes behind a balancer."""
        return PROCESSES in dict(self.settings)

    @property
    def processes(self) -> int:
        """Of how many processes it is, as far as its name says."""
        number = dict(self.settings).get(PROCESSES, "1")
        return int(number) if number.isdecimal() else 1

    @property
    def may_stand_still(self) -> bool:
        """Whether it can be stopped and go on: it is ours to stop, and has no lease that would run out meanwhile."""
        return self.url is None and RELAY not in dict(self.settings)

    @property
    def takes_phase(self) -> bool:
        """Whether it can be told when in a tick's period its ticks shall be due: as ours, or by its ``{phase}``."""
        return self.backend in BACKENDS if self.command is None else PHASE_PLACE in self.command

    @property
    def slug(self) -> str:
        """The name as a part of a file name."""
        return re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-")[:100]


def with_url(name: str, change: Callable[[str], str]) -> str:
    """Return an arm's name with its URL, if it has one, changed; raise :class:`InputError` if it is none."""
    if not name.startswith(URL_PREFIX):
        return name
    try:
        return f"{URL_PREFIX}{change(name.removeprefix(URL_PREFIX))}"
    except InputError as error:
        raise InputError(f"arm {URL_PREFIX}{error}") from error


def parse_arm(text: str, commands: Mapping[str, str] | None = None) -> Arm:
    """Read an arm's name, which may be one of ``commands``; raise :class:`InputError` if it is none."""
    if text.startswith(URL_PREFIX):
        url = text.removeprefix(URL_PREFIX)
        try:
            target_of(url)
        except InputError as error:
            raise InputError(f"arm {URL_PREFIX}{error}") from error
        return Arm("", url=url)
    if commands and text in commands:
        return Arm(text, command=commands[text])
    backend, colon, settings = text.partition(":")
    if backend not in BACKENDS:
        known = ", ".join([*BACKENDS, *sorted(commands or ())])
        raise InputError(f"arm {text!r}: unknown backend {backend!r}; known are {known}")
    if colon and not settings:
        raise InputError(f"arm {text!r} ends in a colon; {GRAMMAR}")
    return Arm(backend, tuple(_parse_setting(text, setting) for setting in settings.split(",") if colon))


def check_commands(commands: Mapping[str, str]) -> None:
    """Raise :class:`InputError` if a suite's ``[commands]`` cannot be arms."""
    for name, command in commands.items():
        if name in BACKENDS or not COMMAND_NAME.fullmatch(name):
            raise InputError(f"command {name!r}: a name of 1 to 40 letters, digits, - and _ that is no backend's")
        try:
            has_port = any(PORT_PLACE in word for word in shlex.split(command))
        except ValueError as error:
            raise InputError(f"command {name!r}: {error}; it is split as a shell would") from error
        if not has_port:
            raise InputError(
                f"command {name!r} has no {PORT_PLACE}; put it where the port goes that it is to listen on"
            )


def parse_arms(texts: list[str], commands: Mapping[str, str] | None = None) -> list[Arm]:
    """Read the arms of one comparison; raise :class:`InputError` where there is none, or one twice."""
    return list(_parsed(tuple(texts), tuple((commands or {}).items())))


@lru_cache(maxsize=256)  # a plan asks for those of its suite again and again
def _parsed(texts: tuple[str, ...], commands: tuple[tuple[str, str], ...]) -> tuple[Arm, ...]:
    if not texts:
        raise InputError("no arm to run; name at least one, for example asyncio")
    arms = [parse_arm(text, dict(commands)) for text in texts]
    for index, arm in enumerate(arms):
        if _identity(arm) in map(_identity, arms[:index]):
            raise InputError(f"arm {arm.name!r} is given twice; repeats are what the suite's 'repeats' is for")
    return tuple(arms)


def spelt_out(name: str, cores: int) -> list[str]:
    """Return the arms that a suite means with a name that has :data:`ANY_NUMBER`, or the name itself."""
    if ANY_NUMBER not in name:
        return [name]
    numbers = [2**power for power in range(max(2, cores.bit_length()))]
    return [name.replace(ANY_NUMBER, f"{PROCESSES}={number}") for number in numbers]


def _identity(arm: Arm) -> tuple[str, str | None, list[tuple[str, str]]]:
    return arm.backend, arm.url, sorted(arm.settings)


def _parse_setting(arm: str, text: str) -> tuple[str, str]:
    match = _SETTING.fullmatch(text)
    if match is None:
        raise InputError(f"arm {arm!r}: {text!r} is not KEY=VALUE; {GRAMMAR}")
    key, value = match.groups()
    if key == PHASE:
        raise InputError(f"arm {arm!r}: {key!r} is set by the comparison itself; leave it out")
    if key in SET_BY_COMPARE:
        raise InputError(f"arm {arm!r}: {key!r} is the same for all arms; set it in the [server] table of a suite file")
    return key, value
