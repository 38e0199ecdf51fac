"""Run every check on one server; one that fails or breaks off does not end the others."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from http.client import HTTPException
from importlib.metadata import version

from websocket import WebSocketException

from tickbench.conformance.check import Check
from tickbench.conformance.checks.limits_and_totals import alive
from tickbench.conformance.fitness import judge_fitness
from tickbench.conformance.peer import NoMessageError
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.table import CHECKS
from tickbench.conformance.verdict import (
    CheckResult,
    Conformance,
    FaultError,
    Level,
    NothingShownError,
    NotTriedError,
)

TRIES = 8
"""How often a check is run, until it shows something."""


def examine(server: ServerUnderTest, checks: Sequence[Check], tell: Callable[[CheckResult], None]) -> Conformance:
    """Make all checks; ``tell`` is called after each."""
    began, started_at = time.monotonic(), datetime.now().astimezone().isoformat(timespec="seconds")
    results = []
    try:
        _begin(server, checks)
        for check in checks:
            results.append(_make(server, check))
            tell(results[-1])
    finally:
        server.close()
    is_fit, why = judge_fitness(results, CHECKS)
    return Conformance(
        url=server.target.url,
        started_at=started_at,
        took_s=round(time.monotonic() - began, 3),
        tickbench=version("tickbench"),
        tick_rate_hz=server.rate_hz,
        checks=results,
        is_fit=is_fit,
        unfit_because=why,
    )


def _begin(server: ServerUnderTest, checks: Sequence[Check]) -> None:
    """Read what the server tells of itself, and start the long timeouts that checks wait for."""
    with suppress(FaultError, NotTriedError):
        server.learn(server.stats() or {})
    for check in checks:
        if check.waits_on:
            with suppress(FaultError, NotTriedError, OSError):
                server.opened(check.waits_on)


def _make(server: ServerUnderTest, check: Check) -> CheckResult:
    """Make one check, and close the connections that it has opened."""
    began = time.monotonic()
    try:
        level, seen, right = _judge(server, check)
    finally:
        server.hang_up()
    if level == "fault" and not server.gone and not server.is_there():
        seen = f"{seen}; then nobody listened any more"
    took_s = round(time.monotonic() - began, 3)
    return CheckResult(
        name=check.name,
        promise=check.promise,
        grade=check.grade,
        level=level,
        seen=seen,
        right=right,
        took_s=took_s,
    )


def _judge(server: ServerUnderTest, check: Check) -> tuple[Level, str | None, str | None]:
    if server.gone and check is not alive:
        return "not tried", server.gone, None
    try:
        note = _run(server, check)
        return ("note" if note else "ok"), note, None
    except FaultError as fault:
        return "fault", fault.seen, fault.right or check.right or None
    except NotTriedError as error:
        return "not tried", str(error), None
    except (NoMessageError, OSError, HTTPException, WebSocketException) as error:
        return "fault", str(error) or repr(error), check.right or None
    except Exception as error:  # noqa: BLE001 - whatever a server says must not end the other checks
        return "fault", f"what came was such that this check could not go on: {error!r}", check.right or None


def _run(server: ServerUnderTest, check: Check) -> str | None:
    for _ in range(TRIES):
        try:
            return check.run(server)
        except NothingShownError as error:
            why = str(error)
    raise NotTriedError(f"{TRIES} tries showed nothing: {why}")
