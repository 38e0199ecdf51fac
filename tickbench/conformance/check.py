"""What a check is: the sentence of the protocol that it tests, and beside it the function that does."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from tickbench.conformance.peer import NoMessageError, Peer
from tickbench.conformance.server_under_test import Kept, ServerUnderTest
from tickbench.conformance.verdict import FaultError, Grade

ERROR = '[["error", why]]'
"""How a message is refused."""
MOST_FLAWS = 3
"""Flaws of one check that are reported."""

CheckFunction = Callable[[ServerUnderTest], str | None]


class Check(NamedTuple):
    """One check of a run."""

    name: str
    promise: str
    """The sentence of the protocol."""
    grade: Grade
    """What breaks where a server does not keep it."""
    run: CheckFunction
    """
    Talks to the server. Returns a note, or None where all is as it should be.

    Raises FaultError, NotTriedError, and NothingShownError to be run again; any other error of a connection is
    reported as a fault, too.
    """
    right: str = ""
    """What would have been right, where a fault does not say so itself; if this is empty, the sentence."""
    waits_on: Callable[[ServerUnderTest], Kept] | None = None
    """Opens a connection that the check waits on for long; a run opens it before all checks."""


def check(
    promise: str, right: str = "", waits_on: Callable[[ServerUnderTest], Kept] | None = None, *, grade: Grade
) -> Callable[[CheckFunction], Check]:
    """Make a check of a function: of ``turn_back`` the check ``turn-back``; the arguments are fields of Check."""
    return lambda run: Check(run.__name__.replace("_", "-"), promise, grade, run, right, waits_on)


def raise_flaws(flaws: Iterable[str | None], right: str = "") -> None:
    """Raise one FaultError of all that was wrong, if anything was."""
    found = [flaw for flaw in flaws if flaw]
    if not found:
        return
    more = f"; and {len(found) - MOST_FLAWS} more" if len(found) > MOST_FLAWS else ""
    raise FaultError("; ".join(found[:MOST_FLAWS]) + more, right)


@contextmanager
def about(case: str) -> Iterator[None]:
    """Raise a FaultError that names the case where no message comes."""
    try:
        yield
    except NoMessageError as error:
        raise FaultError(f"{case}: {error}") from error


def need_errors(connect: Callable[[], Peer], texts: Sequence[str], when: str = "") -> None:
    """Send each text, two on a connection (the third would close it); each is to be answered by an error."""
    flaws = []
    for first in range(0, len(texts), 2):
        peer = connect()
        flaws += [peer.error_flaw(text, f"{text or 'an empty text'}{when}") for text in texts[first : first + 2]]
    raise_flaws(flaws, ERROR)


def need_close(server: ServerUnderTest, code: int, cases: Mapping[str, bytes]) -> None:
    """Send the bytes of each case on a connection of their own; each is to be answered by this close code."""
    flaws = []
    for what, data in cases.items():
        peer = server.enter()
        with about(what):
            peer.send_raw(data)
        flaws.append(peer.close_flaw(what, code))
    raise_flaws(flaws, f"close {code:d}")
