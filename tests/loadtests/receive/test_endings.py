"""After which ends another connection may be welcome."""

import pytest

from loadtests.receive.endings import Ending, Fate


@pytest.mark.parametrize(
    ("fate", "why", "code"),
    [
        (Fate.CLOSED_EARLY, "close 1001", 1001),
        (Fate.CLOSED_EARLY, "close 1012", 1012),
        (Fate.REFUSED, "close 1013", 1013),
        (Fate.CLOSED_EARLY, "end of stream without a close frame", None),
        (Fate.CLOSED_EARLY, "connection reset by peer", None),
        (Fate.REFUSED, "connection refused", None),
        (Fate.REFUSED, "HTTP status 502", None),
        (Fate.REFUSED, "HTTP status 503", None),
        (Fate.TIMED_OUT, "no tick frame in time", None),
    ],
)
def test_where_nobody_was_sent_away_for_good(fate: Fate, why: str, code: int | None) -> None:
    assert Ending(fate, why, 1, close_code=code).may_come_again


@pytest.mark.parametrize(
    ("fate", "why", "code", "broke_protocol"),
    [
        (Fate.CLOSED_EARLY, "close 1000", 1000, False),
        (Fate.CLOSED_EARLY, "close 1005", 1005, False),
        (Fate.CLOSED_EARLY, "close 1008", 1008, False),
        (Fate.CLOSED_EARLY, "close 1011", 1011, False),
        (Fate.REFUSED, "HTTP status 403", None, False),
        (Fate.REFUSED, "HTTP status 500", None, False),
        (Fate.CLOSED_EARLY, "a masked frame", None, True),
        (Fate.OWN_LIMIT, "too many open files", None, False),
        (Fate.LEFT, "left", None, False),
    ],
)
def test_where_another_would_be_no_better(fate: Fate, why: str, code: int | None, broke_protocol: bool) -> None:
    assert not Ending(fate, why, 1, close_code=code, broke_protocol=broke_protocol).may_come_again
