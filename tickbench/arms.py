"""
Arms: a backend with its settings, the unit that is compared.

An arm's name says what differs from the defaults of ``serve``: ``backend[:key=value,...]``, where a key is a flag of
``serve`` without its dashes. Knows nothing of processes or of what a flag means.
"""

import re

from msgspec import Struct

from tickbench.errors import InputError

BACKENDS = {"asyncio": "backends.asyncio_server", "gevent": "backends.gevent_server"}
"""Name to module: ``python -m MODULE`` serves."""
SET_BY_COMPARE = frozenset({"host", "port", "tick-budget", "bots", "seed", "tick-rate"})
"""What must be alike in all arms, or belongs to the run: an arm cannot set it."""

GRAMMAR = "an arm is BACKEND[:KEY=VALUE,...], for example gevent:fanout=naive"
_SETTING = re.compile(r"([a-z][a-z-]*)=([^,=\s]+)")


class Arm(Struct, frozen=True):
    """One arm; ``settings`` keeps the order in which they were given."""

    backend: str
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The canonical spelling; :func:`parse_arm` takes it back."""
        if not self.settings:
            return self.backend
        return f"{self.backend}:{','.join(f'{key}={value}' for key, value in self.settings)}"

    @property
    def slug(self) -> str:
        """The name as a part of a file name."""
        return re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-")


def parse_arm(text: str) -> Arm:
    """Read an arm's name; raise :class:`InputError` if it is none."""
    backend, colon, settings = text.partition(":")
    if backend not in BACKENDS:
        raise InputError(f"arm {text!r}: unknown backend {backend!r}; known are {' and '.join(BACKENDS)}")
    if colon and not settings:
        raise InputError(f"arm {text!r} ends in a colon; {GRAMMAR}")
    return Arm(backend, tuple(_parse_setting(text, setting) for setting in settings.split(",") if colon))


def parse_arms(texts: list[str]) -> list[Arm]:
    """Read the arms of one comparison; raise :class:`InputError` where there is none, or one twice."""
    if not texts:
        raise InputError("no arm to run; name at least one, for example asyncio")
    arms = [parse_arm(text) for text in texts]
    for index, arm in enumerate(arms):
        if (arm.backend, sorted(arm.settings)) in [(other.backend, sorted(other.settings)) for other in arms[:index]]:
            raise InputError(f"arm {arm.name!r} is given twice; repeats are what the suite's 'repeats' is for")
    return arms


def _parse_setting(arm: str, text: str) -> tuple[str, str]:
    match = _SETTING.fullmatch(text)
    if match is None:
        raise InputError(f"arm {arm!r}: {text!r} is not KEY=VALUE; {GRAMMAR}")
    key, value = match.groups()
    if key in SET_BY_COMPARE:
        raise InputError(f"arm {arm!r}: {key!r} is the same for all arms; set it in the [server] table of a suite file")
    return key, value
