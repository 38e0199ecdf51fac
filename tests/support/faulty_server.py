"""
A backend with a fault planted in its rules: the room ``crash`` raises in every step in which a snake is in its field.

Run as a script: ``faulty_server.py BACKEND [flags]``. Everything else is the backend as it is.
"""

import runpy
import sys

BACKEND = sys.argv.pop(1)

if BACKEND == "gevent":
    # As in the backend's own entry point: before anything else is imported.
    from gevent import monkey

    monkey.patch_all()

from shared.rooms.room import Room

step = Room.step


def faulty_step(room: "Room[object]") -> "list[object]":  # type: ignore[type-var] # a room of whatever members
    if room.name == "crash" and room.world.snakes:
        raise RuntimeError("a planted fault")
    return step(room)


Room.step = faulty_step  # type: ignore[method-assign,assignment] # planting it is the point

runpy.run_module(f"backends.{BACKEND}_server", run_name="__main__", alter_sys=True)
