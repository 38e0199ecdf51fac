"""
One run: a fresh server, a fresh generator, one summary. Knows nothing of other runs, of the screen or of the report.

Whatever goes wrong comes out as a run that says so; only the user's interrupt goes through.
"""

import http.client
import json
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shared.measure.summary import LoadSummary, read_summary
from tickbench.commands import Commands, LoadRequest, undisturbed_environment
from tickbench.errors import RunFailedError
from tickbench.pinning import Pinning
from tickbench.plan import PlannedRun
from tickbench.processes import Child, Nursery
from tickbench.results import ChildRecord, Run
from tickbench.suite import Suite

READY_LINE = re.compile(r"^tickbench \w+ listening on (http://\S+)\n", re.MULTILINE)
READY_WAIT_S = 20.0
LOAD_SLACK_S = 60.0
"""What a load run may take beside warm-up and measuring, before it is given up."""
STOP_GRACE_S = 6.0
"""A server promises to stop within 5 s."""
STATS_WAIT_S = 2.0
LOAD_HAS_SUMMARY = (0, 3)
"""Exit status of a load run that measured: valid, not valid."""


class Trial:
    """Makes one run; ``tell`` hears what it is about."""

    def __init__(self, suite: Suite, pinning: Pinning, commands: Commands, tell: Callable[[str], None]) -> None:
        self.suite = suite
        self.pinning = pinning
        self.commands = commands
        self.tell = tell

    def run(self, planned: PlannedRun) -> Run:
        """Make the run and return it, finished or failed."""
        started_at, began = datetime.now(UTC), time.monotonic()
        outcome: dict[str, Any] = {}
        try:
            with tempfile.TemporaryDirectory(prefix="tickbench-") as scratch:
                self._measure(planned, Path(scratch), outcome)
        except (RunFailedError, OSError) as error:
            outcome["reason"] = str(error)
        return Run(
            number=planned.number,
            block=planned.block,
            arm=planned.arm.name,
            outcome="failed" if "reason" in outcome else "finished",
            started_at=started_at.isoformat(timespec="seconds"),
            took_s=round(time.monotonic() - began, 3),
            cpus_server=self.pinning.server,
            cpus_generator=self.pinning.generator,
            **outcome,
        )

    def _measure(self, planned: PlannedRun, scratch: Path, outcome: dict[str, Any]) -> None:
        self.tell("starting the server")
        command = self.commands.server(planned.arm, self.suite.server)
        environment = undisturbed_environment()
        with Nursery() as nursery:
            log = scratch / "server.log"
            server = nursery.start("server", command, log=log, cpus=self.pinning.server, environment=environment)
            try:
                url = server.wait_for_line(READY_LINE, READY_WAIT_S)[1]
                outcome["load"] = self._load(url, server, scratch, outcome)
                outcome["server_settings"] = server_settings(url)
                self.tell("stopping the server")
            finally:
                server.stop(STOP_GRACE_S)
                outcome["server"] = _record(server)

    def _load(self, url: str, server: Child, scratch: Path, outcome: dict[str, Any]) -> LoadSummary:
        suite, out, log = self.suite, scratch / "summary.json", scratch / "generator.log"
        self.tell(f"{suite.connections} connections, warm-up {suite.warm_up_s:g} s, measuring {suite.duration_s:g} s")
        request = LoadRequest(url, suite.connections, suite.scenario, suite.duration_s, suite.warm_up_s, out)
        command, environment = self.commands.load(request), undisturbed_environment()
        with Nursery() as nursery:
            generator = nursery.start(
                "load run", command, log=log, cpus=self.pinning.generator, environment=environment
            )
            try:
                wait_for_load(generator, server, suite.warm_up_s + suite.duration_s + LOAD_SLACK_S)
            finally:
                generator.stop(grace_s=1)
                outcome["generator"] = _record(generator)
        return _read_load(generator, out)


def wait_for_load(generator: Child, server: Child, timeout_s: float) -> None:
    """Wait for the generator's end; raise :class:`RunFailedError` if the server's comes first, or neither in time."""
    deadline = time.monotonic() + timeout_s
    while not generator.wait(timeout_s=0.5):
        if server.has_ended:
            server.stop(grace_s=0)
            raise RunFailedError(f"the server ended with {server.how_it_ended()} under load{server.last_words()}")
        if time.monotonic() > deadline:
            raise RunFailedError(f"the load run was not over after {timeout_s:g} s{generator.last_words()}")


def server_settings(url: str) -> dict[str, Any] | None:
    """Ask a server what it is set to; None if it does not say."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=STATS_WAIT_S)
    with suppress(OSError, http.client.HTTPException, ValueError):
        try:
            connection.request("GET", "/stats")
            stats = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        settings = stats.get("settings") if isinstance(stats, dict) else None
        return settings if isinstance(settings, dict) else None
    return None


def _read_load(generator: Child, out: Path) -> LoadSummary:
    if generator.exit_status not in LOAD_HAS_SUMMARY:
        raise RunFailedError(f"the load run ended with {generator.how_it_ended()}{generator.last_words()}")
    try:
        return read_summary(out.read_bytes())
    except (OSError, ValueError) as error:
        raise RunFailedError(f"the load run left no summary that can be read: {error}") from error


def _record(child: Child) -> ChildRecord:
    return ChildRecord(
        command=child.command,
        exit_status=child.exit_status,
        was_killed=child.was_killed,
        log_tail=child.log_tail(),
    )
