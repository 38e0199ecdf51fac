import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tickbench.children.processes import Guard, Nursery
from tickbench.compare import trial
from tickbench.compare.trial import READY_LINE, server_words
from tickbench.errors import RunFailedError

FakeServer = Callable[..., list[str]]


def test_a_server_is_ready_serves_and_stops_when_asked(tmp_path: Path, fake_server: FakeServer) -> None:
    with Nursery() as nursery:
        server = nursery.start("server", fake_server(), log=tmp_path / "log")
        url = server.wait_for_line(READY_LINE, 10)[1]
        assert server_words(url)["server_settings"] is not None
        server.stop(grace_s=5)
        assert (server.exit_status, server.was_killed) == (0, False)
    assert not psutil.pid_exists(server.pid)


def test_a_server_whose_settings_drip_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "STATS_WAIT_S", 0.5)

    def drip() -> None:
        with listener.accept()[0] as connection, suppress(OSError):
            for _ in range(200):
                connection.sendall(b"H")
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        started_s = time.monotonic()
        assert server_words(f"http://127.0.0.1:{listener.getsockname()[1]}")["server_settings"] is None
        assert time.monotonic() - started_s < 10
        thread.join(30)


def test_a_stubborn_server_is_killed_after_the_grace(tmp_path: Path, fake_server: FakeServer) -> None:
    with Nursery() as nursery:
        server = nursery.start("server", fake_server("stubborn"), log=tmp_path / "log")
        server.wait_for_line(READY_LINE, 10)
        server.stop(grace_s=0.2)
        assert (server.exit_status, server.was_killed) == (-signal.SIGKILL, True)
    assert not psutil.pid_exists(server.pid)


def test_what_a_server_leaves_in_its_group_is_ended_with_it(tmp_path: Path, fake_server: FakeServer) -> None:
    with Nursery() as nursery:
        server = nursery.start("server", fake_server("parent"), log=tmp_path / "log")
        server.wait_for_line(READY_LINE, 10)
        grandchild = int(re.findall(r"child (\d+)", server.log_text())[0])
        server.stop(grace_s=5)
    wait_until(lambda: is_gone(grandchild))


def test_a_server_that_refuses_to_start_is_reported_with_its_last_line(tmp_path: Path, fake_server: FakeServer) -> None:
    with Nursery() as nursery:
        server = nursery.start("server", fake_server("refuses"), log=tmp_path / "log")
        with pytest.raises(
            RunFailedError, match="exit status 1 before it was ready, its last line: error: --behaviour"
        ):
            server.wait_for_line(READY_LINE, 10)


def test_a_server_that_is_not_ready_in_time_is_given_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with Nursery() as nursery:
        server = nursery.start("server", command, log=tmp_path / "log")
        with pytest.raises(RunFailedError, match=r"not ready after 0\.3 s"):
            server.wait_for_line(READY_LINE, 0.3)
    assert not psutil.pid_exists(server.pid)


def test_a_command_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with Nursery() as nursery:
        server = nursery.start("server", ["/nonexistent/python"], log=tmp_path / "log")
        with pytest.raises(RunFailedError, match="No such file"):
            server.wait_for_line(READY_LINE, 10)


def test_a_child_runs_on_its_core_with_every_descriptor_in_a_session_of_its_own(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    code = (
        "import os, resource; print(sorted(os.sched_getaffinity(0)), "
        "resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.getsid(0) == os.getpid())"
    )
    with Nursery() as nursery:
        child = nursery.start("child", [sys.executable, "-c", code], log=tmp_path / "log", cpus=[core])
        assert child.wait(10)
    assert child.log_text().split() == [f"[{core}]", str(resource.getrlimit(resource.RLIMIT_NOFILE)[1]), "True"]


def test_a_child_dies_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from tickbench.children.processes import Nursery; "
        "sleep = [sys.executable, '-c', 'import time; time.sleep(60)']; "
        f"child = Nursery().start('x', sleep, log=pathlib.Path({str(tmp_path)!r}, 'log')); "
        "print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_until(lambda: "sleep(60)" in " ".join(psutil.Process(pid).cmdline()[-1:]))
        parent.kill()
    wait_until(lambda: is_gone(pid))


def test_a_child_stands_still_with_its_group_and_goes_on_when_woken(tmp_path: Path, fake_server: FakeServer) -> None:
    with Nursery() as nursery:
        server = nursery.start("server", fake_server("parent"), log=tmp_path / "log")
        server.wait_for_line(READY_LINE, 10)
        group = [server.pid, int(re.findall(r"child (\d+)", server.log_text())[0])]
        server.stand_still()
        wait_until(lambda: {psutil.Process(pid).status() for pid in group} == {psutil.STATUS_STOPPED})
        assert not server.has_ended, "to stand still is not to end"
        server.wake()
        wait_until(lambda: psutil.STATUS_STOPPED not in {psutil.Process(pid).status() for pid in group})


@pytest.mark.parametrize("grace_s", [5, 0])
def test_one_that_stands_still_ends_at_once(tmp_path: Path, fake_server: FakeServer, grace_s: float) -> None:
    with Nursery() as nursery:
        server = nursery.start("server", fake_server("parent"), log=tmp_path / "log")
        server.wait_for_line(READY_LINE, 10)
        grandchild = int(re.findall(r"child (\d+)", server.log_text())[0])
        server.stand_still()
        began = time.monotonic()
        server.stop(grace_s)
        assert time.monotonic() - began < 4, "it is woken first, and does not use up its grace"
        assert server.exit_status == (0 if grace_s else -signal.SIGKILL)
    wait_until(lambda: is_gone(grandchild))


STUBBORN = "trap '' HUP TERM; sleep 60 & echo $!; wait"
"""A stranger's server, whose child is not the kernel's to end with tickbench, and which heeds no signal."""
GUARDED = """
import pathlib, time
from tickbench.children.processes import Guard, Nursery
with Guard() as guard, Nursery(guard) as nursery:
    for name in ("still", "awake"):
        child = nursery.start(name, ["sh", "-c", {stubborn!r}], log=pathlib.Path({folder!r}, name))
        while not child.log_text().endswith("\\n"):
            time.sleep(0.01)
        print(child.pid, child.log_text().strip(), flush=True)
        if name == "still":
            child.stand_still()
    nursery.start("ended", ["true"], log=pathlib.Path({folder!r}, "ended")).stop(5)
    print("ready", guard._process.pid, flush=True)
    time.sleep(60)
"""


def test_what_the_children_of_a_killed_tickbench_have_started_is_killed_by_the_guard(tmp_path: Path) -> None:
    code = GUARDED.format(stubborn=STUBBORN, folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for _ in range(3) for word in parent.stdout.readline().split() if word != "ready"]
        assert len(pids) == 5
        assert not [pid for pid in pids if is_gone(pid)]
        parent.kill()
    wait_until(lambda: all(is_gone(pid) for pid in pids))


def test_the_guard_leaves_alone_what_has_ended_and_ends_with_its_owner(tmp_path: Path) -> None:
    # As if it had got the id of one that ended.
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    with Guard() as guard:
        with Nursery(guard) as nursery:
            nursery.start("child", ["sleep", "60"], log=tmp_path / "log")
        guard.watch(bystander.pid)
        guard.forget(bystander.pid)
        pid = guard._process.pid
    assert not psutil.pid_exists(pid)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_no_child_is_started_without_its_guard(tmp_path: Path) -> None:
    with Guard() as guard, Nursery(guard) as nursery:
        guard._process.kill()
        guard._process.wait()
        with pytest.raises(RunFailedError, match=r"the guard .* has ended"):
            nursery.start("child", ["sleep", "60"], log=tmp_path / "log")


def is_gone(pid: int) -> bool:
    """Whether a process that is no child of ours has ended; a zombie that init has yet to reap has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(holds: Callable[[], bool], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
