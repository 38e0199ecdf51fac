import contextlib
import signal
from collections.abc import Iterator

import pytest

from tickbench.children.interrupts import SIGNALS, interruptible, uninterrupted
from tickbench.errors import InterruptedByUserError


@pytest.fixture(autouse=True)
def _none_is_ignored() -> Iterator[None]:
    """Whoever runs the tests may have a hang-up ignored, as nohup does."""
    before = {signum: signal.signal(signum, signal.default_int_handler) for signum in SIGNALS}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def test_what_was_ignored_before_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interruptible():
        signal.raise_signal(signal.SIGHUP)
        with uninterrupted():
            signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_becomes_one_exception_and_later_ones_are_ignored(signum: int) -> None:
    with interruptible():
        with pytest.raises(InterruptedByUserError) as interrupt:
            signal.raise_signal(signum)
        signal.raise_signal(signum)
    assert interrupt.value.exit_status == 128 + signum


def test_the_handlers_from_before_come_back() -> None:
    before = [signal.getsignal(signum) for signum in SIGNALS]
    with interruptible(), uninterrupted():
        pass
    assert [signal.getsignal(signum) for signum in SIGNALS] == before


def test_an_interrupt_is_put_off_until_the_end_of_the_block() -> None:
    reached = []

    def begin() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end of the block")
        reached.append("what comes after it")

    with interruptible(), pytest.raises(InterruptedByUserError):
        begin()
    assert reached == ["the end of the block"]


def test_an_interrupt_that_a_library_swallowed_can_be_raised_again() -> None:
    with interruptible() as insist:
        insist()
        with contextlib.suppress(BaseException):  # as websocket-client does where it closes
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(InterruptedByUserError, match="15"):
            insist()
