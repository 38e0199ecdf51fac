"""Locust's own web UI: what became of a run stands on it, and what is wrong is said where it was entered."""

import csv
import http.client
import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from shared.measure.summary import LoadSummary, read_summary
from tests.loadtests.conftest import PATIENCE_S, load_command, planted, start
from tests.support.planted_law import Law

LOGIN = "Basic bWU6aHVzaA=="
GOOD = {"user_count": "10", "spawn_rate": "500", "warm_up": "1", "duration": "2", "scenario": "steady"}


class Browser:
    """What a person's browser would ask for."""

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.port = port
        self.process = process

    def get(self, path: str) -> tuple[int, bytes]:
        return self._ask("GET", path)

    def swarm(self, **form: str) -> dict[str, Any]:
        status, body = self._ask("POST", "/swarm", urlencode(GOOD | form))
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer

    def panel(self) -> str:
        return " ".join(self.get("/tickbench/panel")[1].decode().split())

    def wait_for(self, *words: str) -> str:
        """Wait until one of these stands on the panel; return all of it."""
        deadline = time.monotonic() + PATIENCE_S
        while not any(word in (panel := self.panel()) for word in words):
            assert time.monotonic() < deadline, panel
            time.sleep(0.1)
        return panel

    def leave(self) -> int:
        """Press Ctrl-C; return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_S)

    def _ask(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request(method, path, body, kind | headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def web_ui(*arguments: object) -> Iterator[Browser]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [word for word in load_command(*arguments) if word != "--headless"]
    command += ["--web-host", "127.0.0.1", "--web-port", str(port)]
    with start(command, streams={"stderr": subprocess.PIPE}) as process:
        try:
            wait_until(lambda: process.poll() is not None or is_up(port))
            yield Browser(port, process)
        finally:
            process.kill()


def is_up(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_is_the_summary_s(row: dict[str, Any], summary: LoadSummary) -> None:
    """Check a row of /stats/requests."""
    lateness = summary.tick_lateness_ms
    assert row["num_requests"] == lateness.count
    assert row["median_response_time"] == pytest.approx(lateness.p50, rel=0.005, abs=0.006)
    assert row["response_time_percentile_0.99"] == pytest.approx(lateness.p99, rel=0.005, abs=0.006)
    assert row["total_rps"] == pytest.approx(lateness.count / summary.duration_s)


def test_a_run_from_its_form_to_its_files(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    law = Law(lateness_ms=4, drop_every=31, deflate="none", login=LOGIN)
    with planted(law, tmp_path) as server, web_ui("--host", server.url_of("me:hush"), "--out", out) as browser:
        page = browser.get("/")[1].decode()
        assert "hush" not in page
        assert '"deflate"' in page
        assert 'id="tickbench"' in page
        assert page.index('id="tickbench"') < page.index('id="root"')
        assert "no run yet" in browser.panel()
        assert browser.get("/tickbench/summary.json")[0] == 404

        # What is wrong is said in the form, and nothing begins.
        for form, why in (
            ({"duration": "0.2"}, "duration 0.2: right would be a number from 1 to 86400"),
            ({"duration": "soon"}, "duration soon: right would be a number from 1 to 86400"),
            ({"scenario": "party"}, "scenario party: no such scenario; right would be one of"),
            ({"user_count": "0"}, "users 0: right would be a number from 1 to 100000"),
            ({"user_count": "many"}, "users many: right would be a number from 1 to 100000"),
            ({"room_size": "2.5"}, "room-size 2.5: right would be a whole number"),
            ({"run_time": "5s"}, "run time 5s: a run ends by itself; right would be --duration"),
            ({"host": ""}, "host: which server is to be loaded is missing"),
            ({"host": "ftp://x"}, "not a WebSocket URL"),
            ({"host": "ws://me:secret@127.0.0.1"}, "host: a user and a password would be shown here"),
            ({"deflate": "zip"}, "deflate zip: right would be one of on, off"),
            ({"header": "X-Key: 1"}, "header: that is for the command line alone"),
            ({"insecure": "true"}, "insecure: that is for the command line alone"),
            ({"host": "http://127.0.0.1:1"}, "no server at 127.0.0.1:1: connection refused"),
        ):
            answer = browser.swarm(**form)
            assert not answer["success"]
            assert why in answer["message"]
        _, body = browser._ask("POST", "/swarm", urlencode(GOOD), Origin="https://evil.example")
        assert "a page of https://evil.example asks for it" in json.loads(body)["message"]
        assert "no run yet" in browser.panel()

        assert browser.swarm(host=server.url, deflate="off")["success"]
        browser.wait_for("measuring")
        again = browser.swarm(host=server.url, user_count="30")
        assert not again["success"]
        assert "a run is on" in again["message"]
        panel = browser.wait_for("valid")

        summary = read_summary(out.read_bytes())
        assert browser.get("/tickbench/summary.json") == (200, out.read_bytes())
        assert (summary.connections.requested, summary.connections.connected) == (10, 10)
        assert summary.connections.extensions == {"": 10}
        assert ("tickbench: valid" in panel) is summary.validity.ok
        assert f"{summary.frames.received} of {summary.tick_lateness_ms.count}" in panel
        assert f"{summary.tick_lateness_ms.p99:.2f} ms" in panel

        wait_until(lambda: json.loads(browser.get("/stats/requests")[1])["state"] == "stopped")
        rows = {row["name"]: row for row in json.loads(browser.get("/stats/requests")[1])["stats"]}
        assert_is_the_summary_s(rows["tick lateness"], summary)
        assert_is_the_summary_s(rows["Aggregated"], summary)
        assert rows["tick lateness"]["num_failures"] == summary.tick_lateness_ms.count - summary.frames.received > 0
        table = csv.DictReader(browser.get("/stats/requests/csv")[1].decode().splitlines())
        by_name = {row["Name"]: row for row in table}
        assert float(by_name["tick lateness"]["99%"]) == rows["tick lateness"]["response_time_percentile_0.99"]

        # The exit status is the last run's: one that was stopped is none.
        assert browser.swarm(host=server.url, duration="30")["success"]
        browser.wait_for("measuring")
        assert browser._ask("POST", "/stop")[0] == 200
        browser.wait_for("the run was broken off")
        assert browser.leave() == 1


def test_headers_go_to_the_server_of_the_command_line_alone(tmp_path: Path) -> None:
    arguments = ("--header", "X-Key: 1", "--host")
    with planted(Law(), tmp_path) as server, web_ui(*arguments, server.url) as browser:
        answer = browser.swarm(host="http://127.0.0.1:1")
        assert not answer["success"]
        assert "begin anew for another one" in answer["message"]
        origin = f"http://127.0.0.1:{browser.port}"
        _, body = browser._ask("POST", "/swarm", urlencode(GOOD | {"host": server.url}), Origin=origin)
        assert json.loads(body)["success"]


def test_a_run_that_starts_and_quits_by_itself_ends_with_its_status(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    arguments = ("--users", 5, "--warm-up", 1, "--duration", 1, "--out", out, "--autostart", "--autoquit", 0)
    with planted(Law(), tmp_path) as server, web_ui("--host", server.url, *arguments) as browser:
        status = browser.process.wait(PATIENCE_S)
    summary = read_summary(out.read_bytes())
    assert summary.connections.connected == 5
    assert status == (0 if summary.validity.ok else 3)


def test_a_run_that_starts_by_itself_and_can_t_fails_at_once() -> None:
    with web_ui("--host", "http://127.0.0.1:1", "--autostart", "--autoquit", "0") as browser:
        assert browser.process.wait(PATIENCE_S) == 1
        assert browser.process.stderr is not None
        assert browser.process.stderr.read().splitlines()[-1] == "no server at 127.0.0.1:1: connection refused"
