"""
A backend with a fault planted in its rules: the room ``crash`` raises in every step in which a snake is in its field.

Run as a script: ``faulty_server.py BACKEND [flags]``. Everything else is the backend as it is.
"""

import runpy
import sys
from importlib import import_module
from typing import Any

BACKEND = sys.argv.pop(1)


def plant() -> None:
    """Let a room's step raise."""
    room_class: Any = import_module("shared.rooms.room").Room
    step = room_class.step

    def faulty_step(room: Any) -> Any:
        if room.name == "crash" and room.world.snakes:
            raise RuntimeError("a planted fault")
        return step(room)

    room_class.step = faulty_step


if BACKEND == "gevent":
    # As in the backend's own entry point: before anything else is imported.
    from gevent import monkey

    monkey.patch_all()

plant()
runpy.run_module(f"backends.{BACKEND}_server", run_name="__main__", alter_sys=True)
