"""A server that stands still, dies or refuses does not look healthy: the run says so at once, and its exit status."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.measure.summary import LoadSummary, read_summary
from tests.support.server import RunningServer, run_server, wait_until
from tickbench.compare.slo import EXAMPLE

USERS = 20
DURATION_S = 4.0
WARM_UP_S = 1.0
COMING_S = 20.0


def freeze(server: RunningServer) -> None:
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    server.process.send_signal(signal.SIGCONT)


def kill(server: RunningServer) -> None:
    server.process.kill()


def leave_alone(_: RunningServer) -> None:
    pass


def loaded(server: RunningServer, deed: Callable[[RunningServer], None], up: int, out: Path) -> tuple[str, int]:
    """Load a server, and do something to it a second into the window; return what was printed, and the exit status."""
    command = [sys.executable, "-m", "tickbench", "load", server.url, "--users", USERS, "--duration", DURATION_S]
    more = ["--warm-up", WARM_UP_S, "--slo", EXAMPLE, "--out", out]
    with subprocess.Popen(
        [str(word) for word in (*command, *more)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        wait_until(lambda: server.stats()["connections"] >= up, COMING_S)
        time.sleep(WARM_UP_S + 1.0)
        deed(server)
        output, _ = process.communicate(timeout=60)
    return output, process.returncode


def first_screen(output: str) -> str:
    return " ".join("\n".join(output.splitlines()[:40]).split())


@pytest.mark.parametrize("backend", ["asyncio", "gevent"])
@pytest.mark.parametrize(
    ("flags", "deed", "cause"),
    [
        (["--bots", "3"], freeze, r"at due times that the server skipped.*longest silence 1\.[4-9]"),
        (["--bots", "3"], kill, r"due to connections that were refused or had ended.*ended early.*GET /stats"),
        (["--max-connections", "6"], leave_alone, r"due to connections that were refused.*14 x HTTP status 503"),
    ],
    ids=["frozen", "killed", "refused"],
)
def test_a_server_that_does_not_send_is_at_fault(
    backend: str, flags: list[str], deed: Callable[[RunningServer], None], cause: str, tmp_path: Path
) -> None:
    with run_server(backend, *flags) as server:
        up = 6 if deed is leave_alone else USERS
        output, status = loaded(server, deed, up, tmp_path / "out.json")
    assert re.search(cause, first_screen(output)), output
    summary = read_summary((tmp_path / "out.json").read_bytes())
    check_figures(summary, deed)
    # Beside other tests the machine may have taken enough time to be to blame, too: then nobody is, and it says so.
    is_trusted = not summary.validity.spoiled_by("ticks_came")
    assert status == (4 if is_trusted else 3), output
    assert f"objective {'broken' if is_trusted else 'not judged'}: ticks_came is" in output
    assert is_trusted or summary.validity.machine, output


def check_figures(summary: LoadSummary, deed: Callable[[RunningServer], None]) -> None:
    frames = summary.frames
    assert frames.due == frames.received + frames.missing + frames.skipped + frames.absent
    assert frames.due == summary.tick_lateness_ms.count == pytest.approx(USERS * DURATION_S * 20, rel=0.02)
    assert summary.ticks_came == frames.received / frames.due
    assert summary.longest_silence_ms is not None
    assert summary.tick_lateness_ms.p99 is not None
    if deed is freeze:
        assert summary.longest_silence_ms == pytest.approx(1500, abs=400)
        assert 0.4 < summary.ticks_came < 0.8
        assert summary.tick_lateness_ms.p99 > 1000, "a tick that was skipped is as late as the next one"
    elif deed is kill:
        assert 0.1 < summary.ticks_came < 0.5
        assert summary.tick_lateness_ms.p99 > 2000
    else:
        assert summary.ticks_came == pytest.approx(6 / USERS, abs=0.02)
        assert summary.longest_silence_ms == pytest.approx(1000 * DURATION_S)
        assert summary.tick_lateness_ms.p99 > 1000 * (DURATION_S - 1)
