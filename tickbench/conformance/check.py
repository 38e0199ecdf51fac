"""The type of a check: its name, the sentence of the protocol that it tests, and the function that does."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.verdict import FaultError

MOST_FLAWS = 3
"""Flaws of one check that are reported."""


class Check(NamedTuple):
    """One row of the table."""

    name: str
    promise: str
    run: Callable[[ServerUnderTest], str | None]
    """
    Talks to the server. Returns a note, or None where all is as it should be.

    Raises FaultError, NotTriedError; any other error of a connection is reported as a fault, too.
    """


def raise_flaws(flaws: Iterable[str | None], right: str) -> None:
    """Raise one FaultError of all that was wrong, if anything was; ``right`` is what would have been right."""
    found = [flaw for flaw in flaws if flaw]
    if not found:
        return
    more = f"; and {len(found) - MOST_FLAWS} more" if len(found) > MOST_FLAWS else ""
    raise FaultError("; ".join(found[:MOST_FLAWS]) + more, right)
