"""Has the event loop watched, with ``--debug-blocking``."""

from functools import partial
from typing import Any

import gevent
from gevent import monkey

from shared.system.blocking import BEAT_S, BlockingWatch


def watch_blocking() -> None:
    """Tell of what blocks this event loop, until this is ended."""
    original: Any = partial(monkey.get_original, "_thread")
    with BlockingWatch(*original(["start_new_thread", "allocate_lock", "get_ident"])) as watch:
        while True:
            watch.beat()
            gevent.sleep(BEAT_S)
