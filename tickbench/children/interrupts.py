"""Ctrl-C and its kin, turned into one exception in the main thread. Knows nothing of what is interrupted."""

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

    Ending the children takes a few seconds at most, and an impatient second Ctrl-C would leave them behind. What it
    yields raises it once more if it was raised: some libraries swallow whatever comes up where they close.

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
    """Put an interrupt off until the end of the block: what is begun there gets its owner first."""
    noted: list[int] = []
    before = {each: signal.signal(each, lambda signum, _: noted.append(signum)) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if noted:
        signal.raise_signal(noted[0])
