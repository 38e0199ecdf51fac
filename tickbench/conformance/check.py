"""What a check is: a name, the protocol's sentence that it tests, a function. Knows nothing of what that does."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.verdict import FaultError

MOST_FLAWS = 3
"""Of one check that are told."""


class Check(NamedTuple):
    """One row of the table."""

    name: str
    promise: str
    run: Callable[[ServerUnderTest], str | None]
    """
    Talks to the server. Returns a note, or None where all is as it should be.

    Raises FaultError, NotTriedError; what else a connection raises is told as a fault, too.
    """


def raise_flaws(flaws: Iterable[str | None], right: str) -> None:
    """Raise one fault of all that was wrong, if anything was."""
    found = [flaw for flaw in flaws if flaw]
    if not found:
        return
    more = f"; and {len(found) - MOST_FLAWS} more" if len(found) > MOST_FLAWS else ""
    raise FaultError("; ".join(found[:MOST_FLAWS]) + more, right)
