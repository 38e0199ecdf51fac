"""Logs the stack of what blocks the event loop, with ``--debug-blocking``."""

from gevent import config, events, get_hub

from shared.server.config import BLOCKING_LIMIT_S


class BlockingWatch:
    """
    gevent's own thread that, between :meth:`open` and :meth:`close`, logs the stack of a greenlet that does not switch.

    It does so as long as that lasts: never within ``BLOCKING_LIMIT_S``, and surely after twice that. Two things it does
    not notice: what runs in the hub itself, the callbacks of watchers, which it takes for waiting; and C code that
    holds the GIL all the time, since it counts switches and can't count meanwhile.

    It is slow: before we shorten its report, it has formatted the stacks of all greenlets (40 ms for 600 of them).
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
    """Remove all but the blocking greenlet and its stack from a report, which gevent lets us edit."""
    if isinstance(event, events.EventLoopBlocked) and isinstance(event.info, list) and "Info:" in event.info:
        del event.info[event.info.index("Info:") :]
