"""A worker that has another load test than its master is refused, by either of the two, and named."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from loadtests.run.checkout import FOLDERS, checkout, code_hash, difference
from loadtests.run.messages import Envelope, WorkerReport, encode
from loadtests.run.workers import MasterLink, RemoteWorker, Workers
from tests.loadtests.conftest import PATIENCE_S, ROOT, load, planted
from tests.support.planted_law import Law


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one.py").write_text("ONE = 1\n")
    return tmp_path


def test_each_module_counts_by_its_name_and_by_what_is_in_it(tree: Path) -> None:
    module = tree / FOLDERS[-1] / "one.py"
    hashes = [code_hash(tree)]
    module.write_text("ONE = 2\n")
    hashes.append(code_hash(tree))
    module.rename(module.with_name("two.py"))
    hashes.append(code_hash(tree))
    (tree / FOLDERS[0] / "empty.py").touch()
    hashes.append(code_hash(tree))
    assert len(set(hashes)) == len(hashes)


def test_what_is_no_code_does_not_count(tree: Path) -> None:
    before = code_hash(tree)
    (tree / FOLDERS[0] / "notes.txt").write_text("...")
    assert code_hash(tree) == before


def test_both_say_which_load_test_they_have() -> None:
    assert difference(checkout(), of_master=checkout()) == ""
    words = difference("", of_master=checkout())
    assert words.startswith(f"its load test (of another time) is not that of its master ({checkout()}); right would ")
    assert checkout().startswith("Locust ")


@pytest.mark.parametrize(("theirs", "fails"), [(None, False), ("", True), ("Locust 1.0, code 0123", True)])
def test_a_report_of_another_load_test_fails_the_run(theirs: str | None, *, fails: bool) -> None:
    worker = RemoteWorker(cast("Any", None), "run", "w")
    if theirs is None:
        worker.take_report(MasterLink("run", None).report())
    else:
        worker.take_report(encode(Envelope("run", WorkerReport(checkout=theirs))))
    failed = Workers({"w": worker}).failed()
    assert failed.startswith("worker w: its load test (") if fails else failed == ""


def test_a_worker_of_another_checkout_is_no_part_of_a_run(tmp_path: Path) -> None:
    copy, out = tmp_path / "copy", tmp_path / "out.json"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder)
    with (copy / "loadtests" / "scenario.py").open("a") as file:
        file.write("# another one\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    worker = [sys.executable, "-m", "locust", "-f", str(copy / "loadtests" / "locustfile.py"), "--worker"]
    worker += ["--master-port", str(port)]
    with subprocess.Popen(worker, cwd=copy, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with planted(Law(), tmp_path) as server:
                master = ("--master", "--master-bind-port", port, "--expect-workers", 1)
                done = load("--host", server.url, "--users", 2, "--out", out, *master)
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"worker {socket.gethostname()}_")
    ours, theirs = checkout(), checkout().replace(code_hash(ROOT), code_hash(copy))
    assert difference(theirs, of_master=ours) in last
    assert ours != theirs
    assert done.returncode == 1
    assert not out.exists()
    assert server.meta().players == 0, "it never began"
