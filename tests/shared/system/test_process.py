import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import version

from shared.system.process import OwnProcess
from tests.support.server import wait_until


def test_a_process_reports_itself() -> None:
    report = OwnProcess(("msgspec", "click")).report()
    assert report["pid"] == os.getpid()
    assert report["python"] == platform.python_version()
    assert report["packages"] == {"msgspec": version("msgspec"), "click": version("click")}
    assert set(report) == {
        "pid",
        "children",
        "cpu_s",
        "rss_bytes",
        "threads",
        "fds",
        "cpus",
        "python",
        "packages",
        "gc_thresholds",
        "gc_frozen",
        "quotas",
        "not_read",
    }


def test_its_children_are_its_own() -> None:
    # The system counts CPU time in hundredths of a second: it has to work for longer.
    work = "x = b'x' * 50_000_000; sum(range(5_000_000)); input()"
    with subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE) as child:
        try:
            alone = OwnProcess(()).report()
            wait_until(lambda: OwnProcess(()).report([child.pid])["cpu_s"] > alone["cpu_s"] + 0.02)
            wait_until(lambda: OwnProcess(()).report([child.pid])["rss_bytes"] > alone["rss_bytes"] + 50_000_000)
            report = OwnProcess(()).report([child.pid])
            assert report["children"] == [child.pid]
            assert report["cpu_s"] > alone["cpu_s"]
        finally:
            child.kill()
    assert OwnProcess(()).report([child.pid])["rss_bytes"] < alone["rss_bytes"] + 20_000_000, "it has ended"
    assert OwnProcess(()).report()["cpu_s"] > alone["cpu_s"], "and what it did stays"


def test_its_figures_move_with_what_it_does() -> None:
    before = OwnProcess(()).report()["fds"]
    read, write = os.pipe()
    try:
        after = OwnProcess(()).report()["fds"]
    finally:
        os.close(read)
        os.close(write)
    assert isinstance(before, int)
    assert after == before + 2


def test_without_a_descriptor_to_read_them_by_figures_are_those_of_before() -> None:
    own = OwnProcess(())
    before = own.report()
    assert before["not_read"] is None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        without = own.report([os.getpid()])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "Too many open files" in (without["not_read"] or "")
    assert (without["rss_bytes"], without["fds"]) == (before["rss_bytes"], before["fds"])
    assert without["cpu_s"] >= before["cpu_s"]
    assert own.report()["not_read"] is None
