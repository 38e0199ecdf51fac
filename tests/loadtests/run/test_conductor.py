"""However a run fails, it ends, and says why; what goes well is played by child processes, in test_run.py."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import gevent
import pytest
from msgspec.structs import replace as replaced

from loadtests.run.conductor import FAILED, Conductor, RunOutcome
from loadtests.run.messages import Envelope, WorkerReport, encode
from loadtests.run.workers import MasterLink, RemoteWorker
from loadtests.run.workers import Workers as AllWorkers
from loadtests.surroundings.clocks import OffsetWatch
from shared.measure.summary import read_summary
from shared.system.boot import boot_id
from tests.loadtests.account.test_worker_record import record
from tests.loadtests.run.test_worker import OPTIONS, SERVER
from tests.loadtests.surroundings.test_server_stats import decoded

if TYPE_CHECKING:
    from loadtests.account.locust_rows import LocustRows
    from loadtests.account.room_ticks import ServerSkips
    from loadtests.account.worker_record import WorkerRecord


ROOT = Path(__file__).parents[3]


class Workers:
    """A worker that is connected at once, and then does what it is told to."""

    order_takes_s = 0.1

    def __init__(self, error: Exception | None = None, failed: str = "") -> None:
        self.error = error
        self.why = failed

    def reports(self) -> list[WorkerReport]:
        return [WorkerReport(phase="coming", users=1, settled=1, up=1, why_none="")]

    def rows(self) -> list[LocustRows]:
        return []

    def lost(self) -> list[str]:
        return []

    def silent(self) -> list[str]:
        return []

    def failed(self) -> str:
        return self.why

    def measure(self, start_us: int, end_us: int, *, last_counts: bool) -> None:  # noqa: ARG002 - never comes to that
        if self.error is not None:
            raise self.error

    def settle(self, skips: dict[str, ServerSkips]) -> None: ...

    def records(self) -> list[WorkerRecord]:
        return []


class Screen:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.shown: list[LocustRows] = []
        self.outcomes: list[RunOutcome] = []

    def show(self, rows: LocustRows) -> None:
        self.shown.append(rows)

    def end(self, outcome: RunOutcome) -> None:
        self.outcomes.append(outcome)


def conducted(workers: Any) -> RunOutcome:
    """Let workers be conducted to the end; return what became of it."""
    screen = Screen()
    conductor = Conductor(screen, OPTIONS, SERVER, workers)
    conductor.start()
    for _ in range(200):
        if screen.outcomes:
            break
        gevent.sleep(0.01)
    conductor.stop()
    (outcome,) = screen.outcomes
    return outcome


def test_a_fault_of_ours_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    why = "the load generator failed: KeyError('no such thing')"
    assert conducted(Workers(error=KeyError("no such thing"))) == RunOutcome(FAILED, why)
    assert why in capsys.readouterr().err


def test_a_disk_that_is_full_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert conducted(Workers(error=OSError(28, "No space left on device"))).status == FAILED
    assert capsys.readouterr().err == "[Errno 28] No space left on device\n"


def test_the_server_s_time_is_known_however_late_its_first_answer_was_read() -> None:
    """A slot begins 0.1 s after its order; interpreters that start on the same core take more than that."""
    offset_us, now_us = OffsetWatch().offset_us + 7_000_000, time.time_ns() // 1000
    asked_us, answered_us = now_us - 900_000, now_us - 300_000
    base = decoded(boot_id=boot_id(), clock_offset_us=offset_us, now_us=asked_us + 7_000_000)
    base = replaced(base, asked_us=asked_us, answered_us=answered_us, answered_s=time.monotonic() - 0.3)
    conductor = Conductor(Screen(), OPTIONS, SERVER._replace(stats=base), cast("Any", Workers()))
    assert conductor._is_here
    behind_us = time.time_ns() // 1000 + 7_000_000 - conductor._server_now_us()
    assert -1000 < behind_us < 100_000
    elsewhere = replaced(base, boot_id="another")
    conductor = Conductor(Screen(), OPTIONS, SERVER._replace(stats=elsewhere), cast("Any", Workers()))
    behind_us = time.time_ns() // 1000 + 7_000_000 - conductor._server_now_us()
    assert 600_000 - 1000 < behind_us < 700_000, "what the answer took to come is all that it is off by"


# Who has not told


class Clients(dict[str, Any]):
    """Locust's list of workers."""

    @property
    def all(self) -> list[Any]:
        return list(self.values())


def test_a_worker_without_a_record_is_lost_gone_or_not() -> None:
    clients = Clients({name: SimpleNamespace(id=name, state="running") for name in ("a", "b", "c")})
    runner: Any = SimpleNamespace(clients=clients)
    remote = {name: RemoteWorker(runner, "run", name) for name in clients}
    workers = AllWorkers(remote)
    assert (workers.lost(), workers.silent()) == ([], ["a", "b", "c"])
    remote["a"].take_report(encode(Envelope("run", WorkerReport(record=record()))))
    remote["b"].take_report(encode(Envelope("another run", WorkerReport(record=record()))))
    del clients["b"]
    assert workers.lost() == ["b"]
    assert workers.silent() == ["b", "c"]
    assert [of.worker for of in workers.records()] == [record().worker]


@pytest.mark.parametrize(
    "sent", [None, {"run": "run"}, b"", encode(["run"]), encode(Envelope("run", WorkerReport()))[:-1]]
)
def test_a_report_that_is_none_fails_the_run_and_says_whose_it_was(sent: object) -> None:
    worker = RemoteWorker(cast("Any", None), "run", "a")
    worker.take_report(sent)
    assert AllWorkers({"a": worker}).failed().startswith("worker a: it sent no message of this load test: ")


@pytest.mark.parametrize("sent", [None, {"do": "measure"}, b"", encode(Envelope("run", WorkerReport()))])
def test_an_order_that_is_none_fails_the_run(sent: object) -> None:
    worker = RemoteWorker(cast("Any", None), "run", "a")
    master = MasterLink("run", None)
    master.take_order(sent)
    worker.take_report(master.report())
    assert AllWorkers({"a": worker}).failed().startswith("worker a: the master sent no message of this load test: ")


def test_a_summary_that_cannot_be_written_is_kept_and_the_run_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    recorded = ROOT / "tests" / "tickbench" / "fakes" / "summary.json"
    summary = read_summary(recorded.read_bytes())
    options = replace(OPTIONS, out=Path("/dev/full"))
    outcome = Conductor(Screen(), options, SERVER, cast("Any", Workers()))._report(summary)
    (kept,) = tmp_path.iterdir()
    assert outcome.status == FAILED
    assert outcome.summary == summary, "the panel of the web UI shows it"
    assert outcome.why.startswith("--out /dev/full can't be written (No space left on device); the figures are in ")
    assert str(kept) in outcome.why
    assert read_summary(kept.read_bytes()) == summary
