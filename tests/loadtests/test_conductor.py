"""However a run fails, it ends, and says why; what goes well is played by child processes, in test_run.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import gevent

from loadtests.conductor import FAILED, Conductor
from loadtests.crew import RemoteCrew
from loadtests.worker import Progress
from tests.loadtests.test_part import part
from tests.loadtests.test_worker import ADDRESS, OPTIONS

if TYPE_CHECKING:
    import pytest

    from loadtests.part import Part
    from loadtests.rooms import ServerSkips


class Crew:
    """A worker that is connected at once, and then does what it is told to."""

    order_takes_s = 0.1

    def __init__(self, error: Exception | None = None, failed: str = "") -> None:
        self.error = error
        self.why = failed

    def progress(self) -> list[Progress]:
        return [Progress("coming", users=1, settled=1, up=1, why_none="")]

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

    def parts(self) -> list[Part]:
        return []


def conducted(crew: Any) -> tuple[Any, bool]:
    """Let a crew be conducted to its end; return the exit status and whether Locust was told to quit."""
    quits: list[bool] = []
    runner = SimpleNamespace(quit=lambda: quits.append(True))
    environment: Any = SimpleNamespace(runner=runner, web_ui=None, process_exit_code=None)
    conductor = Conductor(environment, OPTIONS, ADDRESS, None, crew)
    conductor.start()
    for _ in range(200):
        if quits:
            break
        gevent.sleep(0.01)
    conductor.stop()
    return environment.process_exit_code, conductor.over and bool(quits)


def test_a_fault_of_ours_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert conducted(Crew(error=KeyError("no such thing"))) == (FAILED, True)
    assert "the load generator failed: KeyError('no such thing')" in capsys.readouterr().err


def test_a_disk_that_is_full_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert conducted(Crew(error=OSError(28, "No space left on device"))) == (FAILED, True)
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
    crew = RemoteCrew(runner, "run")
    assert (crew.lost(), crew.silent()) == ([], ["a", "b", "c"])
    crew.take_report("a", {"run": "run", "part": part().to_wire()})
    del clients["b"]
    assert crew.lost() == ["b"]
    assert crew.silent() == ["b", "c"]
    assert [part.worker for part in crew.parts()] == [part().worker]
