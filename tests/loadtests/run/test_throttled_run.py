"""A server that a quota really holds back: the machine's fault, in words, whatever objective it broke."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.measure.summary import read_summary
from tests.support.quotas import group, limit
from tests.support.server import run_server, wait_until
from tickbench.compare.slo import EXAMPLE

pytestmark = [pytest.mark.xdist_group("cores"), pytest.mark.quota]

USERS = 40
HEAVY = ("--bots", "10", "--bot-steps", "6000")
"""A server whose ticks take several times its quota, on a fast machine, too."""
PATIENCE_S = 60


@pytest.mark.parametrize("backend", ["asyncio", "gevent"])
def test_a_server_that_a_quota_holds_back_is_the_machine_s_fault(backend: str, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "tickbench", "load", "--users", str(USERS), "--warm-up", "1", "--duration", "3"]
    command += ["--slo", EXAMPLE, "--out", str(out)]
    with group() as folder, run_server(backend, *HEAVY) as server:
        (folder / "cgroup.procs").write_text(str(server.process.pid), "ascii")
        with subprocess.Popen([*command, server.url], stdout=subprocess.PIPE, text=True) as load:
            wait_until(lambda: server.stats()["connections"] >= USERS)
            time.sleep(0.2)
            limit(folder)
            stdout, _ = load.communicate(timeout=PATIENCE_S)
        server.process.kill()  # it would take long to stop
        server.process.wait(PATIENCE_S)
    assert load.returncode == 3, stdout
    assert "objective not judged: tick_lateness_ms.p99" in stdout
    words = " ".join(stdout.split())
    assert "reason: a CPU quota (cgroup, as of a container) held back the server for" in words
    assert f"(quota of 0.02 cores, group /{folder.name}" in words
    summary = read_summary(out.read_bytes())
    assert any("held back the server" in reason for reason in summary.validity.machine)
    assert [(of.who, of.cores) for of in summary.machine.throttled] == [("server", 0.02)]
