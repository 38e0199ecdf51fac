"""The rate of new connections: how many were begun in the window, and how long until all had their first tick."""

from typing import NamedTuple, Self

US_A_SECOND = 1e6


class JoinRate(NamedTuple):
    """Connections that were begun in the window, and got their first tick frame; times in microseconds."""

    connected: int
    first_started_us: int
    last_connected_us: int

    def joined(self, other: Self) -> Self:
        """Return the figures of both together."""
        if not self.connected or not other.connected:
            return self if self.connected else other
        return type(self)(
            self.connected + other.connected,
            min(self.first_started_us, other.first_started_us),
            max(self.last_connected_us, other.last_connected_us),
        )

    @property
    def per_second(self) -> float | None:
        """Connections a second; None without any."""
        took_us = self.last_connected_us - self.first_started_us
        return self.connected * US_A_SECOND / took_us if self.connected and took_us > 0 else None


NO_JOINS = JoinRate(0, 0, 0)
