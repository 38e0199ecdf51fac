"""Turn Ctrl-C, SIGTERM and SIGHUP into one exception in the main thread, or delay them."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tickbench.errors import InterruptedByUserError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """
    Raise :class:`InterruptedByUserError` at the first of :data:`SIGNALS`; those that follow are ignored.

    Ending the children takes a few seconds at most, and an impatient second Ctrl-C would leave them behind. The
    function that it yields raises the exception again if it was raised: some libraries swallow it while they close.

    """
    noted: list[int] = []

    def insist() -> None:
        if noted:
            raise InterruptedByUserError(noted[0])

    def interrupt(signum: int, _frame: FrameType | None) -> None:
        noted.append(signum)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise InterruptedByUserError(signum)

    # A hang-up that nohup has us ignore stays ignored.
    before = {each: signal.signal(each, interrupt) for each in SIGNALS if signal.getsignal(each) != signal.SIG_IGN}
    try:
        yield insist
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay signals until the end of the block: first a child started there gets its owner, a run its file."""
    noted: list[int] = []
    before = {each: signal.signal(each, lambda signum, _: noted.append(signum)) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if noted:
        signal.raise_signal(noted[0])
