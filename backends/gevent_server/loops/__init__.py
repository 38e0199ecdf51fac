"""The loop designs, by the name that ``--mode`` gives them; only the chosen one is imported."""

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.gevent_server.server import Server
    from backends.gevent_server.ticker import Ticker

LOOP_MODES = {
    "managed": "backends.gevent_server.loops.managed:ManagedLoop",
}


class RoomLoop(Protocol):
    """The loop of one room."""

    ticker: "Ticker"

    def update(self) -> None:
        """Look whether somebody is in the room, and start or end the loop."""

    def stop(self) -> None:
        """End the loop for good and wait until it has ended."""


def load_loop_mode(name: str) -> "Callable[[Server, Ticker], RoomLoop]":
    """Return the class of a loop design."""
    module, _, attribute = LOOP_MODES[name].partition(":")
    loop: Callable[[Server, Ticker], RoomLoop] = getattr(import_module(module), attribute)
    return loop
