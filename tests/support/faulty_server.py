"""
A backend with faults planted in its rules.

The room ``crash`` raises in every step in which a snake is in its field, the room ``rude`` when it is to welcome
somebody; every tenth step of the room ``block`` keeps the event loop for ``BLOCKS_S``. Scores are copied from the
write-ahead log as soon as there are any.

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
    """Let a game's step raise, or block, and its welcome raise."""
    game_class: Any = import_module("shared.rooms.game").Game
    open_game, step, welcome = game_class.__init__, game_class.step, game_class.welcome

    def open_faulty(game: Any, setup: Any) -> None:
        open_game(game, setup)
        game.room, game.steps = setup.room, 0

    def faulty_step(game: Any, inputs: Any) -> Any:
        if game.room == "crash" and game.world.snakes:
            raise RuntimeError("a planted fault")
        if game.room == "block" and game.steps % 10 == 9:
            planted_block()
        game.steps += 1
        return step(game, inputs)

    def faulty_welcome(game: Any, newcomer: Any) -> Any:
        if game.room == "rude":
            raise RuntimeError("a planted fault")
        return welcome(game, newcomer)

    import_module("shared.server.score_file").SAVES_A_CHECKPOINT = 1  # type: ignore[attr-defined]
    game_class.__init__, game_class.step, game_class.welcome = open_faulty, faulty_step, faulty_welcome


if BACKEND == "gevent":
    # As in the backend's own entry point: before anything else is imported.
    from gevent import monkey

    monkey.patch_all()

plant()
if BACKEND == "worker":
    runpy.run_module("backends.worker", run_name="__main__", alter_sys=True)
else:
    workers: Any = import_module("shared.server.workers")
    workers.COMMAND = (sys.executable, __file__, "worker")
    runpy.run_module(f"backends.{BACKEND}_server", run_name="__main__", alter_sys=True)
