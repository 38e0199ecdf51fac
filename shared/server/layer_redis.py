"""The Redis that a server has for the layer it broadcasts through: started with it, looked after, and started again."""

import logging
from typing import TYPE_CHECKING

from shared.server.children import how_it_ended
from shared.server.config import fail_usage
from shared.system.redis_server import PROGRAM, RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("tickbench")


class LayerRedis:
    """
    One at a time, for the layer of that name. Where it is lost, ``on_loss`` is called, and there is another one.

    What was in it is lost, too: who is in which group. So whoever was in a group has to be told.
    """

    def __init__(self, layer: str) -> None:
        self.on_loss: Callable[[], None] = lambda: None
        self.starts = 0
        """How often one was started: what failed in one is no fault of the next."""
        self._layer = layer
        self._server = RedisServer()

    @property
    def url(self) -> str:
        """Where it is, as redis-py has it; the next one will be there, too."""
        return f"unix://{self._server.path}"

    def open(self) -> None:
        """Start it; exit if that can't be done."""
        try:
            self._start()
        except OSError as error:
            self.close()
            fail_usage(f"--layer {self._layer} needs a {PROGRAM}: {error}")

    def pids(self) -> list[int]:
        """Return its process ID, none while there is none."""
        return [] if self._server.pid is None else [self._server.pid]

    def look(self) -> None:
        """See whether it is still there."""
        if self._server.has_ended():
            self.lost()

    def lost(self, why: str = "") -> None:
        """
        End what is left of it, and start another one; ``why`` says what failed, if it has not ended by itself.

        Nothing else is done meanwhile: those whom it served are about to be told, and nobody plays.
        """
        pid = self._server.pid
        if pid is None:  # it could not be started again
            self.on_loss()
            return
        if self._server.has_ended():
            why = how_it_ended(self._server.status)
        self._server.kill()
        logger.error("%s %d %s: all rooms end", PROGRAM, pid, why)
        self.on_loss()
        try:
            self._start()
        except OSError as error:
            logger.error("%s can't be started again: %s", PROGRAM, error)  # noqa: TRY400 # a line will do

    def close(self) -> None:
        """End it for good."""
        self._server.close()

    # Private methods

    def _start(self) -> None:
        self._server.start()
        self.starts += 1
