import errno
import logging
import os
import resource
import sys

import pytest

from shared.system.descriptors import ShortageFilter, allow_many_descriptors, connections_end, seats_end
from shared.system.logs import QUIET_S

UNLIMITED = resource.RLIM_INFINITY, sys.maxsize - 64, sys.maxsize - 32


@pytest.mark.parametrize(
    ("limit", "seats", "connections"), [(20_000, 19_936, 19_968), (256, 192, 224), (40, 30, 35), UNLIMITED]
)
def test_some_descriptors_are_kept_back(
    monkeypatch: pytest.MonkeyPatch, limit: int, seats: int, connections: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert (seats_end(), connections_end()) == (seats, connections)


def test_the_soft_limit_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: asked.append((which, limits)))
    assert allow_many_descriptors() == 4096
    assert asked == [(resource.RLIMIT_NOFILE, (4096, 4096))]


def shortage(at_s: float, number: int = errno.EMFILE) -> logging.LogRecord:
    error = OSError(number, os.strerror(number))
    record = logging.LogRecord("asyncio", logging.ERROR, "x", 1, "accept", (), (OSError, error, None))
    record.created = at_s
    return record


def test_a_shortage_is_one_line_a_minute() -> None:
    shortages = ShortageFilter()
    first = shortage(1000)
    assert shortages.filter(first)
    assert first.exc_info is None
    assert "newcomers wait" in first.getMessage()
    assert "Too many open files" in first.getMessage()
    assert [shortages.filter(shortage(1000 + later)) for later in (0.1, QUIET_S - 1, QUIET_S + 1)] == [
        False,
        False,
        True,
    ]


def test_whatever_else_is_logged_stays_as_it_is() -> None:
    other, plain = shortage(1000, errno.ECONNRESET), logging.LogRecord("x", logging.ERROR, "x", 1, "plain", (), None)
    assert ShortageFilter().filter(other)
    assert other.exc_info
    assert ShortageFilter().filter(plain)
