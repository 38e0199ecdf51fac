"""
A backend with faults planted in its rules.

The room ``crash`` raises in every step in which a snake is in its field; every tenth step of the room ``block`` keeps
the event loop for ``BLOCKS_S``.

Run as a script: ``faulty_server.py BACKEND [flags]``. Everything else is the backend as it is.
"""

import runpy
import sys
import time
from importlib import import_module
from typing import Any

BACKEND = sys.argv.pop(1)
BLOCKS_S = 0.2


def planted_block() -> None:
    """Keep the event loop; not with ``time.sleep``, for which gevent has a greenlet wait."""
    until = time.monotonic() + BLOCKS_S
    while time.monotonic() < until:
        pass


def plant() -> None:
    """Let a room's step raise, or block."""
    room_class: Any = import_module("shared.rooms.room").Room
    step = room_class.step

    def faulty_step(room: Any) -> Any:
        if room.name == "crash" and room.world.snakes:
            raise RuntimeError("a planted fault")
        if room.name == "block" and room.steps % 10 == 9:
            planted_block()
        return step(room)

    room_class.step = faulty_step


if BACKEND == "gevent":
    # As in the backend's own entry point: before anything else is imported.
    from gevent import monkey

    monkey.patch_all()

plant()
runpy.run_module(f"backends.{BACKEND}_server", run_name="__main__", alter_sys=True)
