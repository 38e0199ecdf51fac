"""Digests of what a room's tick frames say, tick by tick: two servers that play the same game give the same ones."""

from collections.abc import Mapping
from typing import Final
from zlib import crc32

from shared.measure.summary import StepDigests

MAX_STEPS: Final = 2_000
"""The most ticks that are taken down, 100 s at 20 Hz, so that memory does not grow in a long run."""
NONE_CAME: Final = "-"


class StepLog:
    """Takes down a digest of what each tick frame of one room says beside its ``tick``."""

    def __init__(self) -> None:
        self.digests: dict[int, int] = {}
        """CRC-32 by n, for the first :data:`MAX_STEPS` ticks."""
        self.conflicting = 0
        """Frames that differ from an earlier one of the same n."""
        self._is_closed = False

    def close(self) -> None:
        """Take none from now on: a room that begins anew has other ticks of the same n."""
        self._is_closed = True

    def take(self, n: int, text: bytes) -> None:
        """Take a tick frame: ``text`` begins with its ``tick`` command."""
        if self._is_closed:
            return
        digest = crc32(text[text.index(b"]") :])
        if len(self.digests) < MAX_STEPS:
            self.conflicting += self.digests.setdefault(n, digest) != digest
        elif n in self.digests:
            self.conflicting += self.digests[n] != digest


def summary_of(digests: Mapping[int, int], conflicting: int) -> StepDigests | None:
    """Return the digests as they are kept in a summary; None without any."""
    if not digests:
        return None
    first, last = min(digests), max(digests)
    words = (
        f"{digests[n]:08x}" if n in digests else NONE_CAME for n in range(first, min(last, first + 10 * MAX_STEPS) + 1)
    )
    return StepDigests(first_n=first, crc32=" ".join(words), conflicting=conflicting)
