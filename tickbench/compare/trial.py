"""
Make one run: start a fresh server and a fresh generator, and read the generator's summary.

Whatever goes wrong is returned as a run that says so; only the user's interrupt is raised.
"""

import http.client
import json
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.measure.summary import LoadSummary, read_summary
from tickbench.children.commands import Commands, load_flags, undisturbed_environment
from tickbench.children.processes import Child, Guard, Nursery
from tickbench.compare.plan import PlannedRun, run_estimate_s
from tickbench.compare.runs import ChildRecord, Run
from tickbench.errors import RunFailedError, ServerFailedError
from tickbench.machine.pinning import Pinning
from tickbench.machine.quiet import Quiet, wait_until_quiet
from tickbench.target import Access, connect, hung_up_after

READY_LINE = re.compile(r"^tickbench (?:cluster )?\w+ listening on (http://\S+)(?: \([^)]*\))?\n", re.MULTILINE)
READY_WAIT_S = 20.0
LOAD_SLACK_S = 60.0
"""What a load run may take longer than estimated, before it is given up."""
STOP_GRACE_S = 6.0
"""A server promises to stop within 5 s."""
LOAD_GRACE_S = 1.0
STATS_WAIT_S = 2.0
MAX_STATS_BYTES = 1 << 20
LOAD_HAS_SUMMARY = (0, 3)
"""Exit status of a load run that wrote a summary: valid, not valid."""


class Trial:
    """Makes runs; ``tell`` is called with what the current one is doing."""

    def __init__(
        self, pinning: Pinning, commands: Commands, tell: Callable[[str], None], guard: Guard | None = None
    ) -> None:
        self.pinning = pinning
        self.commands = commands
        self.tell = tell
        self.guard = guard

    def run(self, planned: PlannedRun, quiet_wait_s: float) -> Run:
        """Wait ``quiet_wait_s`` at most for idle cores, then make the run; return it, finished or failed."""
        quiet = wait_until_quiet(self.measured_cores(), quiet_wait_s, self.tell)
        started_at, began = datetime.now(UTC), time.monotonic()
        outcome: dict[str, Any] = {}
        try:
            with tempfile.TemporaryDirectory(prefix="tickbench-") as scratch:
                self._measure(planned, Path(scratch), outcome)
        except (RunFailedError, OSError) as error:
            note_failure(error, outcome)
        return self.made(planned, outcome, quiet, started_at, time.monotonic() - began)

    def made(
        self, planned: PlannedRun, outcome: Mapping[str, Any], quiet: Quiet | None, started_at: datetime, took_s: float
    ) -> Run:
        """Return the run that was planned, with what became of it: fields of :class:`Run`."""
        copied = ("number", "part", "block", "again", "group", "attempt", "scenario", "connections")
        return Run(
            **{name: getattr(planned, name) for name in copied},
            arm=planned.arm.name,
            slots_planned=planned.slots,
            quiet=quiet,
            outcome="failed" if "reason" in outcome else "finished",
            started_at=started_at.isoformat(timespec="seconds"),
            took_s=round(took_s, 3),
            cpus_server=self.pinning.server,
            cpus_generator=self.pinning.generator,
            **outcome,
        )

    def measured_cores(self) -> list[int] | None:
        """Return the cores of server and generator; None where they are not pinned."""
        server, generator = self.pinning.server, self.pinning.generator
        return None if server is None or generator is None else [*server, *generator]

    def start_server(self, planned: PlannedRun, nursery: Nursery, scratch: Path) -> tuple[Child, int | None]:
        """Start the server of an arm on its core; return it, and the port that it was given (None: it takes one)."""
        port = None if planned.arm.command is None else free_port()
        command = self.commands.server(planned.arm, planned.server, port)
        log, environment = scratch / "server.log", undisturbed_environment()
        server = nursery.start(
            "server",
            command,
            log=log,
            cpus=self.pinning.server,
            environment=environment,
            scatters=planned.arm.is_cluster,
        )
        return server, port

    def start_generator(
        self, planned: PlannedRun, url: str, nursery: Nursery, scratch: Path, *, in_slots: bool = False
    ) -> Child:
        """Start the load run on its core; it leaves its summary at :func:`summary_in`, in slots it takes orders."""
        flags = load_flags(
            url,
            planned.connections,
            summary_in(scratch),
            scenario=planned.scenario,
            duration_s=planned.duration_s,
            warm_up_s=planned.warm_up_s,
            more=planned.load,
            in_slots=in_slots,
        )
        access = {} if planned.arm.url is None else self.commands.access.variables(url)
        return nursery.start(
            "load run",
            self.commands.load(flags),
            log=scratch / "generator.log",
            cpus=self.pinning.generator,
            environment={**undisturbed_environment(), **access},
            folder=scratch,
            talks=in_slots,
        )

    def _measure(self, planned: PlannedRun, scratch: Path, outcome: dict[str, Any]) -> None:
        if planned.arm.url is not None:
            outcome["load"] = self._load(planned, planned.arm.url, None, scratch, outcome)
            outcome |= server_words(planned.arm.url, self.commands.access)
            return
        self.tell("starting the server")
        with Nursery(self.guard) as nursery:
            with by_server():
                server, port = self.start_server(planned, nursery, scratch)
            try:
                with by_server():
                    url = wait_until_ready(server, port)
                outcome["load"] = self._load(planned, url, server, scratch, outcome)
                outcome |= server_words(url)
                self.tell("stopping the server")
            finally:
                server.stop(STOP_GRACE_S)
                outcome["server"] = record_of(server)

    def _load(
        self, planned: PlannedRun, url: str, server: Child | None, scratch: Path, outcome: dict[str, Any]
    ) -> LoadSummary:
        timing = f"warm-up {planned.warm_up_s:g} s, measuring {planned.duration_s:g} s"
        self.tell(f"{planned.scenario}, {planned.connections} connections, {timing}")
        with Nursery(self.guard) as nursery:
            generator = self.start_generator(planned, url, nursery, scratch)
            try:
                wait_for_load(generator, server, run_estimate_s(planned) + LOAD_SLACK_S)
            finally:
                generator.stop(LOAD_GRACE_S)
                outcome["generator"] = record_of(generator)
        check_summed(generator)
        return read_load(summary_in(scratch))


def summary_in(scratch: Path) -> Path:
    """Return where a load run leaves its summary."""
    return scratch / "summary.json"


def note_failure(error: Exception, outcome: dict[str, Any]) -> None:
    """Note in the fields of a run why it failed, and whose fault that is."""
    outcome["reason"] = str(error)
    outcome["fault"] = "server" if _is_by_server(error, outcome.get("server")) else "generator"
    outcome.pop("load", None)  # a run that failed has no figures


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def wait_until_ready(server: Child, port: int | None) -> str:
    """
    Return the URL of a server that was started: from its ready line, or once it accepts connections on ``port``.

    Raises:
        RunFailedError: it ends before, or is not ready in time.

    """
    if port is None:
        return server.wait_for_line(READY_LINE, READY_WAIT_S)[1]
    deadline = time.monotonic() + READY_WAIT_S
    while time.monotonic() < deadline:
        if server.has_ended:
            server.stop(grace_s=0)
            raise RunFailedError(
                f"the server ended with {server.how_it_ended()} before it was ready{server.last_words()}"
            )
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return f"http://127.0.0.1:{port}"
        time.sleep(0.05)
    raise RunFailedError(f"the server did not accept on port {port} within {READY_WAIT_S:g} s{server.last_words()}")


def wait_for_load(generator: Child, server: Child | None, timeout_s: float) -> None:
    """
    Wait for the generator's end.

    Raises:
        ServerFailedError: the server's end came first.
        RunFailedError: neither came in time.

    """
    deadline = time.monotonic() + timeout_s
    while not generator.wait(timeout_s=0.5):
        if server is not None:
            check_serves(server)
        if time.monotonic() > deadline:
            raise RunFailedError(f"the load run was not over after {timeout_s:g} s{generator.last_words()}")


def check_serves(server: Child) -> None:
    """Raise :class:`ServerFailedError` if a server has ended."""
    if server.has_ended:
        server.stop(grace_s=0)
        raise ServerFailedError(f"the server ended with {server.how_it_ended()} under load{server.last_words()}")


def server_words(url: str, access: Access | None = None) -> dict[str, dict[str, Any] | None]:
    """Return what a server says of itself in ``/stats``, as fields of :class:`Run`; None for what is not there."""
    stats = _stats(url, access)
    plain = {name: each if isinstance(each := stats.get(name), dict) else None for name in ("settings", "in_force")}
    if (in_force := plain["in_force"]) is not None:
        plain["in_force"] = {
            str(name): value
            for name, value in in_force.items()
            if value is None or isinstance(value, str | int | float)
        }
    return {"server_settings": plain["settings"], "in_force": plain["in_force"]}


def _stats(url: str, access: Access | None) -> dict[str, Any]:
    target = (access or Access()).target(url)
    connection = http.client.HTTPConnection(target.host, target.port, timeout=STATS_WAIT_S)
    with suppress(OSError):
        connection.sock = connect(target, STATS_WAIT_S)
    if connection.sock is None:
        return {}
    with (
        suppress(OSError, http.client.HTTPException, ValueError, RecursionError),
        closing(connection),
        hung_up_after(connection.sock, STATS_WAIT_S),
    ):
        connection.request("GET", target.beside("stats"), headers={"Host": target.authority, **target.fields})
        stats = json.loads(connection.getresponse().read(MAX_STATS_BYTES))
        return stats if isinstance(stats, dict) else {}
    return {}


@contextmanager
def by_server() -> Iterator[None]:
    """Turn whatever fails into a :class:`ServerFailedError`."""
    try:
        yield
    except (RunFailedError, OSError) as error:
        raise ServerFailedError(str(error)) from error


def _is_by_server(error: Exception, server: ChildRecord | None) -> bool:
    """Whether the server failed: the error says so, or its exit status is not 0."""
    return isinstance(error, ServerFailedError) or (server is not None and server.exit_status != 0)


def check_summed(generator: Child) -> None:
    """Raise :class:`RunFailedError` if a load run has ended without a summary."""
    if generator.exit_status not in LOAD_HAS_SUMMARY:
        raise RunFailedError(f"the load run ended with {generator.how_it_ended()}{generator.last_words()}")


def read_load(out: Path) -> LoadSummary:
    """Return the summary that a load run has written; raise :class:`RunFailedError` if there is none."""
    try:
        return read_summary(out.read_bytes())
    except (OSError, ValueError) as error:
        raise RunFailedError(f"the load run left no summary that can be read: {error}") from error


def record_of(child: Child) -> ChildRecord:
    """Return how a child was started, and how it ended."""
    return ChildRecord(
        command=child.command,
        exit_status=child.exit_status,
        was_killed=child.was_killed,
        log_tail=child.log_tail(),
    )
