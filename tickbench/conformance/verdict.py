"""
What a check can find, and the record of a run: schema ``tickbench.conformance/1``.

History: 1, the first. A reader ignores fields it does not know; a field that is taken away or changes its meaning makes
a new number.
"""

from typing import Literal

import msgspec

from shared.printable import plain

Level = Literal["ok", "note", "fault", "not tried"]
LEVELS: tuple[Level, ...] = ("ok", "note", "fault", "not tried")
LONGEST_QUOTE = 160

Grade = Literal["measurement", "interoperability", "hardening"]
GRADES: dict[Grade, str] = {
    "measurement": "what the figures of a load test rest on",
    "interoperability": "what players and their clients rely on",
    "hardening": "what is refused, and how: for a server that strangers reach",
}
"""What breaks where a server has a fault: checks of each, the gravest for a comparison first."""


class FaultError(Exception):
    """The server does not do as the protocol says: what was ``seen``, and what would be ``right``."""

    def __init__(self, seen: str, right: str = "") -> None:
        super().__init__(seen)
        self.seen = seen
        self.right = right


class NotTriedError(Exception):
    """A check can't be made here; the message says why."""


class NothingShownError(NotTriedError):
    """This try of a check showed nothing (a wall, a stone or a busy machine came in between); another may."""


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found."""

    name: str
    promise: str
    """The sentence of the protocol that it tests."""
    grade: Grade
    level: Level
    seen: str | None = None
    """What was seen that is worth a word, or why it was not tried; None where all was as it should be."""
    right: str | None = None
    """Of a fault, what would have been right."""
    took_s: float = 0.0


class Conformance(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag="tickbench.conformance/1"):
    """A whole run."""

    url: str
    started_at: str
    """Local time with its offset, ISO 8601."""
    took_s: float
    tickbench: str
    """The version of tickbench that was run."""
    tick_rate_hz: float | None
    """From ``/stats``, else estimated; None if no check needed it, or nothing ticked."""
    checks: list[CheckResult]
    is_fit: bool | None
    """Whether it is fit to be measured: all checks of measurement were made, and found no fault. None: not known."""
    unfit_because: str | None
    """Why it is not, or why that is not known."""

    def count(self, level: Level) -> int:
        """Return how many checks came out so."""
        return sum(result.level == level for result in self.checks)

    @property
    def says_little(self) -> bool:
        """Whether most checks could not be tried, such as where nobody was let in."""
        return 2 * self.count("not tried") > len(self.checks)

    @property
    def is_conforming(self) -> bool:
        """Whether nothing was wrong, and enough was tried for that to mean anything."""
        return not self.count("fault") and not self.says_little


def quote(data: object) -> str:
    """Return ``data`` as one line that is short enough to be shown."""
    text = data if isinstance(data, str) else repr(data)
    return plain(text, LONGEST_QUOTE)
