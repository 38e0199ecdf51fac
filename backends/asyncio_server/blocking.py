"""Has the event loop watched, with ``--debug-blocking``."""

import _thread
import asyncio

from shared.system.blocking import BEAT_S, BlockingWatch


async def watch_blocking() -> None:
    """Tell of what blocks this event loop, until this is ended."""
    with BlockingWatch(_thread.start_new_thread, _thread.allocate_lock, _thread.get_ident) as watch:
        while True:
            watch.beat()
            await asyncio.sleep(BEAT_S)
