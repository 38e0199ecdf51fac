"""Load runs as child processes: importing locust would monkey-patch the tests."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loadtests.receive.stamps import NO_STAMPS_VARIABLE
from shared.measure.summary import LoadSummary, read_summary
from tests.support.certificates import Authority, Certificate
from tests.support.hosts import Host
from tests.support.planted_law import Law
from tests.support.planted_record import Columns, Meta, Send, read_arrays, read_meta, read_record
from tests.support.warm import python

ROOT = Path(__file__).parents[2]
FULL_SIZE = bool(os.environ.get("TICKBENCH_FULL_SIZE"))
"""Of ``make figures-load``: on a machine that does nothing else."""
PATIENCE_S = 180 if FULL_SIZE else 60
IMPORTED = ("locust.main", "loadtests.locust_hooks", "loadtests.scenarios.steady")
"""What every generator imports: most of a second of CPU."""


@dataclass(frozen=True)
class Planted:
    """A planted server that runs."""

    port: int
    record: Path
    pid: int
    secure: bool = False
    address: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.address}:{self.port}"

    def url_of(self, login: str) -> str:
        """Return the URL with a user and a password."""
        return self.url.replace("//", f"//{login}@")

    def sends(self) -> list[Send]:
        """What it sent; known when it has ended."""
        return read_record(self.record)

    def columns(self) -> Columns:
        """Return the same as :meth:`sends`, where they are many."""
        return read_arrays(self.record)

    def meta(self) -> Meta:
        """What else it did; known when it has ended."""
        return read_meta(self.record)


def cores(*, pinned: bool) -> tuple[list[str], list[str]]:
    """Return what puts a server's and a generator's command on a core of its own: nothing, if not ``pinned``."""
    usable = sorted(os.sched_getaffinity(0))
    if not pinned or len(usable) < 2:
        return [], []
    return ["taskset", "-c", str(usable[0])], ["taskset", "-c", str(usable[-1])]


@contextmanager
def planted(
    law: Law, folder: Path, *, pinned: bool = FULL_SIZE, port: int = 0, host: Host | None = None
) -> Iterator[Planted]:
    """Run a planted server, on this host or in one of the test's own."""
    record = folder / "record.json"
    script = ROOT / "tests" / "support" / "planted_server.py"
    command = [*cores(pinned=pinned)[0], sys.executable, str(script), json.dumps(asdict(law)), str(record), str(port)]
    address = "127.0.0.1"
    if host is not None:
        address = host.address
        command = host.command(*command, address)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Planted(int(process.stdout.readline()), record, process.pid, bool(law.tls), address)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)
    assert process.returncode == 0


def load_command(*arguments: object) -> list[str]:
    locustfile = ROOT / "loadtests" / "locustfile.py"
    return [sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", *map(str, arguments)]


def start(
    command: list[str],
    *,
    pinned: bool = FULL_SIZE,
    cold: bool = FULL_SIZE,
    streams: Mapping[str, int],
    **variables: str,
) -> Any:
    """
    Return Popen of a generator, on a core of its own if ``pinned``; ``variables`` are of its environment.

    ``cold``: it imports all itself; limits and priorities can be set at once, which a warm one may take over yet.

    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")} | variables
    modules, usable = None if cold else IMPORTED, os.sched_getaffinity(0)
    if pinned:
        os.sched_setaffinity(0, {max(usable)})  # which a child takes over
    try:
        return python(command[1:], modules=modules, env=environment, text=True, **streams)
    finally:
        os.sched_setaffinity(0, usable)


def load(
    *arguments: object, pinned: bool = FULL_SIZE, stamps: bool = True, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    variables = {**(variables or {}), **({} if stamps else {NO_STAMPS_VARIABLE: "1"})}
    command, pipes = load_command(*arguments), dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with start(command, pinned=pinned, cold=FULL_SIZE, streams=pipes, **variables) as process:
        try:
            said = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    return subprocess.CompletedProcess(command, process.returncode, *said)


@dataclass(frozen=True)
class PlantedRun:
    """A load run against a planted server, and the truth about it."""

    status: int
    stderr: str
    summary: LoadSummary
    server: Planted
    slots: tuple[range, ...] = ()
    """The windows of the kept slots; none where the window was not cut."""

    @property
    def windows(self) -> tuple[range, ...]:
        """What was measured, in microseconds of the server's clock."""
        return self.slots or (window_us(self.summary),)

    @property
    def sends(self) -> list[Send]:
        return self.server.sends()

    @property
    def columns(self) -> Columns:
        return self.server.columns()

    @property
    def meta(self) -> Meta:
        return self.server.meta()


def load_planted(
    law: Law, folder: Path, users: int, *arguments: object, pinned: bool = FULL_SIZE, stamps: bool = True
) -> PlantedRun:
    out = folder / "out.json"
    if law.tls:
        arguments = (*arguments, "--insecure")
    with planted(law, folder, pinned=pinned) as server:
        done = load("--host", server.url, "--users", users, "--out", out, *arguments, pinned=pinned, stamps=stamps)
    assert done.returncode in {0, 3}, done.stderr
    return PlantedRun(done.returncode, done.stderr, read_summary(out.read_bytes()), server)


class InSlots:
    """A generator that is given orders; between them it and its server stand still for ``pause_s``."""

    def __init__(self, generator: subprocess.Popen[str], server_pid: int, pause_s: float) -> None:
        self.generator = generator
        self.pause_s = pause_s
        self._server_pid = server_pid

    def order(self, **order: object) -> None:
        """Wake both, and give an order."""
        assert self.generator.stdin is not None
        for pid in (self.generator.pid, self._server_pid):
            os.kill(pid, signal.SIGCONT)
        self.generator.stdin.write(f"{json.dumps(order)}\n")
        self.generator.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Return the answer, after a pause."""
        assert self.generator.stdout is not None
        answer: dict[str, Any] = json.loads(self.generator.stdout.readline())
        for pid in (self._server_pid, self.generator.pid):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(self.pause_s)
        return answer

    def ask(self, **order: object) -> dict[str, Any]:
        """Give an order, and return the answer."""
        self.order(**order)
        return self.hear()


@contextmanager
def in_slots(server: Planted, pause_s: float, *arguments: object) -> Iterator[InSlots]:
    command = load_command("--slots", "--host", server.url, *arguments)
    with start(command, streams=dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)) as generator:
        try:
            yield InSlots(generator, server.pid, pause_s)
        finally:
            os.kill(server.pid, signal.SIGCONT)
            generator.kill()  # reaches one that stands still, too


def load_planted_in_slots(
    law: Law, folder: Path, users: int, *arguments: object, slots: int, slot_s: float, pause_s: float
) -> PlantedRun:
    out = folder / "out.json"
    with planted(law, folder) as server, in_slots(server, 0, "--users", users, "--out", out, *arguments) as run:
        assert run.hear() == {"said": "ready", "connected": users, "requested": users}
        answers = []
        for number in range(1, slots + 1):
            run.pause_s = pause_s if number < slots else 0
            answers.append(run.ask(order="slot", seconds=slot_s))
        assert [answer["number"] for answer in answers] == list(range(1, slots + 1))
        run.order(order="end")
        stdout, stderr = run.generator.communicate(timeout=PATIENCE_S)
    assert stdout == ""
    assert run.generator.returncode in {0, 3}, stderr
    starts = [int(us) for us in re.findall(r"slot \d+, from (\d+) us", stderr)]
    assert len(starts) == slots
    windows = [range(start, start + round(slot_s * 1e6)) for start in starts]
    kept = tuple(window for window, answer in zip(windows, answers, strict=True) if not answer["spoiled"])
    return PlantedRun(run.generator.returncode, stderr, read_summary(out.read_bytes()), server, kept or (windows[-1],))


def window_us(summary: LoadSummary) -> range:
    """Return the measured window, in microseconds of the server's clock."""
    since_epoch = datetime.fromisoformat(summary.started_at) - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    start = since_epoch // timedelta(microseconds=1)
    return range(start, start + round(summary.duration_s * 1e6))


@contextmanager
def busy(core: int) -> Iterator[int]:
    """Take as much of a core as the scheduler gives: half, where somebody else wants the rest; yield the pid."""
    loop = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile os.getppid() == {os.getpid()}: pass"
    with subprocess.Popen([sys.executable, "-c", loop]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


WAYS: dict[str, tuple[str, bool]] = {
    "as it is": ("", False),
    "compressed with contexts": ("own", False),
    "compressed without": ("none", False),
    "through TLS": ("", True),
    "compressed, through TLS": ("own", True),
}
"""How frames travel: how contexts are kept, and whether through TLS."""


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> Certificate:
    return authority.certify("planted", "DNS:localhost", "IP:127.0.0.1")


@pytest.fixture
def travel(way: str, certificate: Certificate) -> dict[str, str]:
    """Return what a law says of a ``way``."""
    deflate, secure = WAYS[way]
    return {"deflate": deflate, "tls": str(certificate.both) if secure else ""}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("load")
