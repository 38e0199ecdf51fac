"""Load runs as child processes: importing locust would monkey-patch the tests."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from loadtests.receive.stamps import NO_STAMPS_VARIABLE
from shared.measure.summary import LoadSummary, read_summary
from tests.support.planted_law import Law
from tests.support.planted_record import Columns, Meta, Send, read_arrays, read_meta, read_record

ROOT = Path(__file__).parents[2]
FULL_SIZE = bool(os.environ.get("TICKBENCH_FULL_SIZE"))
"""Of ``make figures-load``: on a machine that does nothing else."""
PATIENCE_S = 180 if FULL_SIZE else 60


@dataclass(frozen=True)
class Planted:
    """A planted server that runs."""

    port: int
    record: Path

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

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
def planted(law: Law, folder: Path, *, pinned: bool = FULL_SIZE) -> Iterator[Planted]:
    record = folder / "record.json"
    script = ROOT / "tests" / "support" / "planted_server.py"
    command = [*cores(pinned=pinned)[0], sys.executable, str(script), json.dumps(asdict(law)), str(record)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Planted(int(process.stdout.readline()), record)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)
    assert process.returncode == 0


def load_command(*arguments: object) -> list[str]:
    locustfile = ROOT / "loadtests" / "locustfile.py"
    return [sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", *map(str, arguments)]


def load(*arguments: object, pinned: bool = FULL_SIZE, stamps: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    if not stamps:
        environment[NO_STAMPS_VARIABLE] = "1"
    command = [*cores(pinned=pinned)[1], *load_command(*arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=environment)


@dataclass(frozen=True)
class PlantedRun:
    """A load run against a planted server, and the truth about it."""

    status: int
    stderr: str
    summary: LoadSummary
    server: Planted

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
    with planted(law, folder, pinned=pinned) as server:
        done = load("--host", server.url, "--users", users, "--out", out, *arguments, pinned=pinned, stamps=stamps)
    assert done.returncode in {0, 3}, done.stderr
    return PlantedRun(done.returncode, done.stderr, read_summary(out.read_bytes()), server)


def window_us(summary: LoadSummary) -> range:
    """Return the measured window, in microseconds of the server's clock."""
    since_epoch = datetime.fromisoformat(summary.started_at) - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    start = since_epoch // timedelta(microseconds=1)
    return range(start, start + round(summary.duration_s * 1e6))


@contextmanager
def busy(core: int) -> Iterator[None]:
    """Take as much of a core as the scheduler gives: half, where somebody else wants the rest."""
    loop = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile os.getppid() == {os.getpid()}: pass"
    with subprocess.Popen([sys.executable, "-c", loop]) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("load")
