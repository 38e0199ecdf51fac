"""Run every check on one server; one that fails or breaks off does not end the others."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from http.client import HTTPException
from importlib.metadata import version

from websocket import WebSocketException

from tickbench.conformance.check import Check
from tickbench.conformance.checks.entrance import open_silent
from tickbench.conformance.checks.http import open_half_handshake
from tickbench.conformance.peer import ClosedError, EndedError, SilenceError
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.table import ALIVE
from tickbench.conformance.verdict import CheckResult, Conformance, FaultError, GoneError, Level, NotTriedError

OPENED_EARLY: dict[str, Callable[[ServerUnderTest], object]] = {
    "new-player-limit": open_silent,
    "half-handshake": open_half_handshake,
}
"""Checks that wait for a long timeout; what starts it is done before all other checks."""


def examine(subject: ServerUnderTest, checks: Sequence[Check], tell: Callable[[CheckResult], None]) -> Conformance:
    """Make all checks; ``tell`` is called after each."""
    began, started_at = time.monotonic(), datetime.now().astimezone().isoformat(timespec="seconds")
    results = []
    try:
        _begin(subject, checks)
        for check in checks:
            results.append(make(subject, check))
            tell(results[-1])
    finally:
        subject.close()
    return Conformance(
        url=subject.target.url,
        started_at=started_at,
        took_s=round(time.monotonic() - began, 3),
        tickbench=version("tickbench"),
        tick_rate_hz=subject.rate_hz,
        checks=results,
    )


def make(subject: ServerUnderTest, check: Check) -> CheckResult:
    """Make one check, and close the connections that it has opened."""
    began = time.monotonic()
    try:
        level, seen, right = _judge(subject, check)
    finally:
        subject.hang_up()
    if level == "fault" and not subject.gone and not subject.is_there():
        seen = f"{seen}; then nobody listened any more"
    took_s = round(time.monotonic() - began, 3)
    return CheckResult(name=check.name, promise=check.promise, level=level, seen=seen, right=right, took_s=took_s)


def _judge(subject: ServerUnderTest, check: Check) -> tuple[Level, str | None, str | None]:
    if subject.gone and check is not ALIVE:
        return "not tried", subject.gone, None
    try:
        note = check.run(subject)
        return ("note" if note else "ok"), note, None
    except FaultError as fault:
        return "fault", fault.seen, fault.right or None
    except NotTriedError as error:
        return "not tried", str(error), None
    except (ClosedError, EndedError, SilenceError, OSError, HTTPException, WebSocketException) as error:
        return "fault", str(error) or repr(error), None
    except Exception as error:  # noqa: BLE001 - whatever a server says must not end the other checks
        return "fault", f"what came was such that this check could not go on: {error!r}", None


def _begin(subject: ServerUnderTest, checks: Sequence[Check]) -> None:
    """Read what the server tells of itself, and start the long timeouts that checks wait for."""
    with suppress(FaultError, GoneError):
        subject.learn(subject.stats() or {})
    names = {check.name for check in checks}
    for name, begin in OPENED_EARLY.items():
        if name in names:
            with suppress(FaultError, NotTriedError, OSError):
                begin(subject)
