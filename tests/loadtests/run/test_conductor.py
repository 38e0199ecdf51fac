"""However a run fails, it ends, and says why; what goes well is played by child processes, in test_run.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import gevent

from loadtests.run.conductor import FAILED, Conductor, Outcome
from loadtests.run.worker import Progress
from loadtests.run.workers import RemoteWorkers
from shared.measure.summary import read_summary
from tests.loadtests.account.test_worker_record import part
from tests.loadtests.run.test_worker import ADDRESS, OPTIONS

if TYPE_CHECKING:
    import pytest

    from loadtests.account.locust_rows import Rows
    from loadtests.account.room_ticks import ServerSkips
    from loadtests.account.worker_record import WorkerRecord


ROOT = Path(__file__).parents[3]


class Workers:
    """A worker that is connected at once, and then does what it is told to."""

    order_takes_s = 0.1

    def __init__(self, error: Exception | None = None, failed: str = "") -> None:
        self.error = error
        self.why = failed

    def progress(self) -> list[Progress]:
        return [Progress("coming", users=1, settled=1, up=1, why_none="")]

    def rows(self) -> list[Rows]:
        return []

    def lost(self) -> list[str]:
        return []

    def silent(self) -> list[str]:
        return []

    def failed(self) -> str:
        return self.why

    def measure(self, start_us: int, end_us: int) -> None:  # noqa: ARG002 - it never comes to that
        if self.error is not None:
            raise self.error

    def settle(self, skips: dict[str, ServerSkips]) -> None: ...

    def parts(self) -> list[WorkerRecord]:
        return []


class Onlooker:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.shown: list[Rows] = []
        self.outcomes: list[Outcome] = []

    def show(self, rows: Rows) -> None:
        self.shown.append(rows)

    def end(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def conducted(crew: Any) -> Outcome:
    """Let a crew be conducted to its end; return what became of it."""
    onlooker = Onlooker()
    conductor = Conductor(onlooker, OPTIONS, ADDRESS, None, crew)
    conductor.start()
    for _ in range(200):
        if onlooker.outcomes:
            break
        gevent.sleep(0.01)
    conductor.stop()
    (outcome,) = onlooker.outcomes
    return outcome


def test_a_fault_of_ours_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    why = "the load generator failed: KeyError('no such thing')"
    assert conducted(Workers(error=KeyError("no such thing"))) == Outcome(FAILED, why)
    assert why in capsys.readouterr().err


def test_a_disk_that_is_full_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert conducted(Workers(error=OSError(28, "No space left on device"))).status == FAILED
    assert capsys.readouterr().err == "[Errno 28] No space left on device\n"


# Who has not told


class Clients(dict[str, Any]):
    """Locust's list of workers."""

    @property
    def all(self) -> list[Any]:
        return list(self.values())


def test_a_worker_without_a_part_is_lost_gone_or_not() -> None:
    clients = Clients({name: SimpleNamespace(id=name, state="running") for name in ("a", "b", "c")})
    runner: Any = SimpleNamespace(clients=clients)
    crew = RemoteWorkers(runner, "run")
    assert (crew.lost(), crew.silent()) == ([], ["a", "b", "c"])
    crew.take_report("a", {"run": "run", "part": part().to_wire()})
    del clients["b"]
    assert crew.lost() == ["b"]
    assert crew.silent() == ["b", "c"]
    assert [part.worker for part in crew.parts()] == [part().worker]


def test_a_summary_that_cannot_be_written_is_kept_and_the_run_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    recorded = ROOT / "tests" / "tickbench" / "fakes" / "summary.json"
    summary = read_summary(recorded.read_bytes())
    options = replace(OPTIONS, out=Path("/dev/full"))
    outcome = Conductor(Onlooker(), options, ADDRESS, None, cast("Any", Workers()))._report(summary)
    (kept,) = tmp_path.iterdir()
    assert outcome.status == FAILED
    assert outcome.summary == summary, "the panel of the web UI shows it"
    assert outcome.why.startswith("--out /dev/full can't be written (No space left on device); the figures are in ")
    assert str(kept) in outcome.why
    assert read_summary(kept.read_bytes()) == summary
