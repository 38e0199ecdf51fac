"""
Measures the time from a key to the turn that it causes: tells which turn belongs to which key.

A snake turns with its next move, so the turn of an earlier key may come first; and the server's rules drop keys (two
are waiting already, something is in the way).
"""

from loadtests.users.board import Direction, Head

LOST_KEY_US, LOST_KEY_MOVES = 2_000_000, 4
"""A key without a turn for so many microseconds, and so many moves, was dropped."""


class KeyWatch:
    """Times one key of a player at a time; ``speed`` is a snake's, in cells a second."""

    def __init__(self, speed: float) -> None:
        self._lost_us = max(LOST_KEY_US, 1_000_000 * LOST_KEY_MOVES / speed)
        self._pressed_us = 0  # 0: no key waits for its turn
        self._seen_n = 0  # turns up to this tick can't be that key's
        self._wanted: Direction = (0, 0)
        self._others = 0  # other turns that came first

    def press(self, direction: Direction, now_us: int, n: int) -> None:
        """Note a key that is pressed now, after tick ``n``, unless another one waits for its turn."""
        if not self._pressed_us or now_us - self._pressed_us > self._lost_us:
            self._pressed_us, self._seen_n, self._wanted, self._others = now_us, n, direction, 0

    def look(self, head: Head | None, n: int, arrival_us: int) -> int | None:
        """Look at a snake (None: it is dead) as tick ``n`` shows it; return what its key took, in us, if it shows."""
        if not self._pressed_us:
            return None
        if head is None:
            self._pressed_us = 0  # it died before it turned
        elif self._seen_n < head.turned_n <= n:
            self._seen_n = head.turned_n
            took_us, is_it = arrival_us - self._pressed_us, head.direction == self._wanted
            # One earlier turn may come first. After two others the key was dropped: such a turn later is another key's.
            if is_it or self._others:
                self._pressed_us = 0
            self._others += 1
            return took_us if is_it else None
        return None
