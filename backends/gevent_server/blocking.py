"""Names on stderr who blocks the event loop: ``--debug-blocking``. Knows nothing of what the loop runs."""

from gevent import config, events, get_hub

from shared.server.config import BLOCKING_LIMIT_S


class BlockingWatch:
    """
    gevent's own thread that looks, between :meth:`open` and :meth:`close`, where a greenlet that does not switch is.

    It says so for as long as that lasts: never within ``BLOCKING_LIMIT_S``, and surely after twice that. Two things it
    does not see: what runs in the hub itself, the callbacks of watchers, which it takes for waiting; and one C function
    that holds the interpreter all the time, since it counts switches and does not get to count meanwhile.

    It is not quick: before we cut its report down, it has written down all greenlets (40 ms for 600 of them).
    """

    def open(self) -> None:
        """Begin to watch the event loop of this thread."""
        config.max_blocking_time = BLOCKING_LIMIT_S
        config.monitor_thread = True
        events.subscribers.append(_shorten)
        get_hub().start_periodic_monitoring_thread()

    def close(self) -> None:
        """End the watch, if it was begun."""
        if monitor := get_hub().periodic_monitoring_thread:
            monitor.kill()


def _shorten(event: object) -> None:
    """Leave the greenlet and its stack in a report, and all other threads and greenlets out: gevent lets us edit it."""
    if isinstance(event, events.EventLoopBlocked) and isinstance(event.info, list) and "Info:" in event.info:
        del event.info[event.info.index("Info:") :]
