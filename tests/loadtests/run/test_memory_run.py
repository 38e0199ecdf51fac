"""Whole runs against both servers: what a connection weighs, or why that can't be known."""

from pathlib import Path

import pytest

from shared.measure.summary import LoadSummary, read_summary
from tests.loadtests.conftest import load
from tests.support.server import RunningServer, run_server

LIGHTEST, HEAVIEST = 8 * 1024, 40 * 1024
"""Bytes: no interpreter and no stack is near to either."""
KNOWN = (0, 3)
"""Exit statuses of a run that has a summary."""


def weighed(server: RunningServer, folder: Path, *arguments: object) -> LoadSummary:
    out = folder / "out.json"
    short = ("--users", 20, "--warm-up", 0.5, "--duration", 1, "--memory", 500, "--out", out)
    done = load("--host", server.url, *short, *arguments)
    assert done.returncode in KNOWN, done.stderr
    return read_summary(out.read_bytes())


@pytest.mark.parametrize(("backend", "workers"), [("asyncio", ()), ("gevent", ("--processes", 2))])
def test_a_fresh_server_says_what_a_connection_weighs_and_a_used_one_why_not(
    backend: str, workers: tuple[object, ...], tmp_path: Path
) -> None:
    with run_server(backend, "--tick-budget", "0", cold=True) as server:
        summary = weighed(server, tmp_path, *workers)
        assert (summary.connections.requested, summary.connections.connected) == (20, 20), (
            "the extra connections are in no account"
        )
        memory = summary.server.memory
        assert memory is not None
        assert memory.why_not == ""
        assert [connections for connections, _ in memory.plateaus] == list(range(20, 521, 50))
        assert LIGHTEST < (summary.server.rss_per_connection_bytes or 0) < HEAVIEST
        assert server.stats()["accepted"] >= 520

        again = weighed(server, tmp_path)
        assert again.server.rss_per_connection_bytes is None
        assert again.server.memory is not None
        assert "connections had come and gone before this run" in again.server.memory.why_not


def test_a_server_without_room_for_more_says_so(tmp_path: Path) -> None:
    with run_server("asyncio", "--max-connections", "90") as server:
        memory = weighed(server, tmp_path).server.memory
    assert memory is not None
    assert memory.why_not == "of 100 more 70 are in: 30 x HTTP status 503"
