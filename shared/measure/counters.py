"""The counters of a server, apart from those of its ticks: connections, frames, closes, pages."""

from collections import Counter
from dataclasses import dataclass, field

PAGES = ("/stats", "/metrics", "/scores")
"""The pages that take long enough to make to delay ticks."""


@dataclass(slots=True)
class Counters:
    """Since the start of the server."""

    accepted: int = 0  # upgrades that were not refused, also of connections that have ended since
    frames_sent: int = 0  # a tick's frame to one connection; one that its peer had just left may be among them
    slow_skips: int = 0  # frames not sent to a connection whose last one was not handed over yet
    dropped: int = 0  # of frames_sent, those that a framework dropped on their way: a layer in between has its capacity
    slow_closed: int = 0  # connections ended as slow consumers
    busy_closed: int = 0  # connections ended as ticks had no time for one more in a room, or too many had no name
    dead: int = 0  # connections ended because they did not answer pings
    crashed_rooms: int = 0
    closed: Counter[str] = field(default_factory=Counter)  # connections by the close code that the server sent
    turned_away: Counter[int] = field(default_factory=Counter)  # requests that the door answered, by HTTP status
    pages: Counter[str] = field(default_factory=Counter)  # made, by path
    pages_us: Counter[str] = field(default_factory=Counter)  # for which making them held the event loop, by path

    def count_end(self, close_label: str | None, *, dead: bool) -> None:
        """Count a connection that has ended; ``close_label`` is :attr:`Session.close_label`, one of few values."""
        self.dead += dead
        if close_label is not None:
            self.closed[close_label] += 1

    def count_page(self, path: str, us: int) -> None:
        """Count one of :data:`PAGES` that was made in so many microseconds."""
        self.pages[path] += 1
        self.pages_us[path] += us

    def report(self) -> dict[str, object]:
        """Return the counters as they are in ``/stats``."""
        return {
            "accepted": self.accepted,
            "frames_sent": self.frames_sent,
            "slow_skips": self.slow_skips,
            "dropped": self.dropped,
            "slow_closed": self.slow_closed,
            "busy_closed": self.busy_closed,
            "dead": self.dead,
            "crashed_rooms": self.crashed_rooms,
            "closed": dict(sorted(self.closed.items())),
            "turned_away": {str(status): count for status, count in sorted(self.turned_away.items())},
            "pages": {path: {"count": self.pages[path], "us": self.pages_us[path]} for path in PAGES},
        }
