"""
What the rules did, tick by tick, as a room's frames tell it: two servers that do the same work tell the same.

Knows nothing of connections or of time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zlib import crc32

from shared.measure.summary import StepDigests

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_STEPS: Final = 2_000
"""As many ticks as are taken down: 100 s at 20 Hz. A soak must not grow by them."""
NONE_CAME: Final = "-"


class StepLog:
    """Takes down a digest of what each tick frame of one room says beside its ``tick``."""

    def __init__(self) -> None:
        self.digests: dict[int, int] = {}
        """By n, the first :data:`MAX_STEPS` of them."""
        self.conflicting = 0
        """Frames that said something else than one before for the same n."""

    def take(self, n: int, text: bytes) -> None:
        """Take a tick frame: ``text`` begins with its ``tick`` command."""
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
