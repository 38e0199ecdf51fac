"""Choose the cores of the server and the generator, and keep this process off the server's."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec import Struct


class Pinning(Struct, frozen=True):
    """The cores of both sides; None: not pinned. ``warning`` says what is wrong with them."""

    server: list[int] | None
    generator: list[int] | None
    warning: str | None = None


def choose_cores(usable: list[int], siblings: Callable[[int], set[int]], server_cores: int = 1) -> Pinning:
    """
    Give the server the first usable core, or some, and the generator one that shares no hardware with them.

    Args:
        usable: the logical cores this process may run on.
        siblings: the logical cores that share the physical core of one, itself included.
        server_cores: how many the server is to have, if there are so many; 0: all but the generator's.

    """
    if len(usable) < 2:
        return Pinning(None, None, "one usable core: server and generator share it, unpinned, and disturb each other")
    server, *others = sorted(usable)
    apart = [core for core in others if core not in siblings(server)]
    if apart:
        free = [core for core in sorted(usable) if core not in siblings(apart[0])]
        return Pinning(free[: server_cores or len(free)], [apart[0]])
    return Pinning([server], [others[0]], "server and generator run on two threads of one physical core")


@contextmanager
def away_from_server(pinning: Pinning) -> Iterator[None]:
    """Keep this process off the server's core: drawing the progress must not take time from what is measured."""
    if pinning.server is None:
        yield
        return
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, usable - set(pinning.server))
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)
