"""What Locust is told of a run, and what it may not do to it. In a child process: Locust would patch the tests'."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.loadtests.account.test_locust_rows import RECORDED
from tests.loadtests.conftest import PATIENCE_S, ROOT

pytestmark = pytest.mark.xdist_group("locust run")  # one child process

STORY = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
import gevent
from locust import User
from locust.argument_parser import default_args_dict
from locust.env import Environment
from loadtests.locust_hooks import _start_of
from loadtests.run.conductor import RunOutcome
from loadtests.run.locust_run import LocustRun
from loadtests.run.logins import Logins
from loadtests.run.webui import install
from msgspec.structs import replace
from shared.measure.summary import Validity, read_summary

class SomeUser(User):
    def context(self):
        return {}

def begun(**more):
    environment = Environment(user_classes=[SomeUser])
    environment.parsed_options = SimpleNamespace(**(default_args_dict() | more))
    run = LocustRun(environment, environment.create_local_runner())
    return environment, run, SimpleNamespace(phase="measuring", start=lambda: None, stop=lambda: None)

told = {}
environment, run, conductor = begun()
told["before"] = [run.words, run.hindrance(), environment.process_exit_code]
run.begin(conductor)
environment.runner.start(7, 100)
gevent.sleep(0.05)
told["during"] = [run.words, run.hindrance(), environment.process_exit_code, environment.runner.target_user_count]
run.end(RunOutcome(0, summary=read_summary(Path(sys.argv[1]).read_bytes())))
row = environment.stats.entries["tick lateness", "frame"]
told["after"] = [run.words, environment.process_exit_code, row.num_requests]
environment.runner.start(7, 100)
told["ending"] = [run.hindrance(), environment.runner.target_user_count]
environment.web_ui = SimpleNamespace()
gevent.sleep(0.05)
told["ended"] = [run.hindrance(), environment.runner.state]
run.quit()

environment, run, conductor = begun()
run.begin(conductor)
run.break_off()
told["broken off"] = [run.words, run.hindrance(), environment.process_exit_code]
run.quit()

environment, run, conductor = begun(web_base_path="/load", host="ws://h")
web_ui = environment.create_web_ui("127.0.0.1", 8089, web_base_path="/load", delayed_start=True)
install(web_ui, environment.parsed_options, run, {}, Logins())
browser = web_ui.app.test_client()
run.begin(conductor)
told["panel before"] = browser.get("/load/tickbench/panel").text
summary = read_summary(Path(sys.argv[1]).read_bytes())
reason = "it said <script>alert(1)</script>"
validity = Validity.of([reason], ["a warning"], spared={reason: ["reach"]})
run.end(RunOutcome(3, summary=replace(summary, validity=validity)))
told["panel"] = browser.get("/load/tickbench/panel").text
told["page"] = browser.get("/load/").text

try:
    _start_of(SimpleNamespace(tickbench_run={"run": "another's"}))
except ValueError as error:
    told["foreign master"] = str(error)

environment, run, _ = begun()
run.cannot_begin("there is no server")
told["never begun"] = [run.words, environment.process_exit_code]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def played() -> tuple[dict[str, Any], str]:
    command = [sys.executable, "-c", STORY, str(RECORDED)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_before_a_run_nothing_has_failed(played: tuple[dict[str, Any], str]) -> None:
    assert played[0]["before"] == ["no run yet", "", None]


def test_while_a_run_is_on_nobody_changes_the_number_of_its_users(played: tuple[dict[str, Any], str]) -> None:
    words, hindrance, status, users = played[0]["during"]
    assert (words, status, users) == ("measuring", 1, 0)
    assert "a run is on" in hindrance


def test_its_outcome_is_the_exit_status_and_in_the_table(played: tuple[dict[str, Any], str]) -> None:
    assert played[0]["after"] == ["valid", 0, 30_000]


def test_the_next_one_begins_when_the_users_of_the_last_are_gone(played: tuple[dict[str, Any], str]) -> None:
    hindrance, users = played[0]["ending"]
    assert "a run is on" in hindrance
    assert users == 0
    assert played[0]["ended"] == ["", "stopped"]


def test_one_that_somebody_stopped_is_broken_off_and_fails(played: tuple[dict[str, Any], str]) -> None:
    told, stderr = played
    assert told["broken off"] == ["the run was broken off: nothing was written", "", 1]
    assert stderr.count("the run was broken off: nothing was written") == 1


def test_why_there_is_none_is_said_once(played: tuple[dict[str, Any], str]) -> None:
    told, stderr = played
    assert told["never begun"] == ["there is no server", 1]
    assert stderr.count("there is no server") == 1


def test_the_panel_says_what_became_of_a_run_and_which_figures_stand(played: tuple[dict[str, Any], str]) -> None:
    told, _ = played
    assert "tickbench: measuring" in told["panel before"]
    assert "summary.json" not in told["panel before"]
    panel = " ".join(told["panel"].split())
    assert "tickbench: not valid" in panel
    assert "summary.json" in panel
    assert "warning: a warning" in panel
    assert "<div><dt>reach</dt><dd>99.99 %</dd></div>" in panel
    assert '<div class="spoiled"><dt>tick lateness p99</dt><dd>7.22 ms</dd></div>' in panel


def test_what_a_server_said_is_text_on_the_panel(played: tuple[dict[str, Any], str]) -> None:
    assert "&lt;script&gt;" in played[0]["panel"]
    assert "<script>" not in played[0]["panel"]


def test_the_panel_stands_above_locust_s_own_page_under_its_base_path(played: tuple[dict[str, Any], str]) -> None:
    page = played[0]["page"]
    assert page.index('id="tickbench"') < page.index('id="root"')


def test_a_worker_of_another_master_is_told_what_is_wrong(played: tuple[dict[str, Any], str]) -> None:
    assert played[0]["foreign master"].startswith("the master began no run of this load test: ")
