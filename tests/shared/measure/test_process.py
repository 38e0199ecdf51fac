import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version

from shared.measure.process import boot_id, process_report
from tests.support.server import wait_until


def test_the_boot_id_is_one_id_of_this_host() -> None:
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", boot_id())
    assert boot_id() == boot_id()


def test_a_process_reports_itself() -> None:
    report = process_report(("msgspec", "click"))
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
    }


def test_its_children_are_its_own() -> None:
    # The system counts CPU time in hundredths of a second: it has to work for longer.
    work = "x = b'x' * 50_000_000; sum(range(5_000_000)); input()"
    with subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE) as child:
        try:
            alone = process_report(())
            wait_until(lambda: process_report((), [child.pid])["cpu_s"] > alone["cpu_s"] + 0.02)
            wait_until(lambda: process_report((), [child.pid])["rss_bytes"] > alone["rss_bytes"] + 50_000_000)
            report = process_report((), [child.pid])
            assert report["children"] == [child.pid]
            assert report["cpu_s"] > alone["cpu_s"]
        finally:
            child.kill()
    assert process_report((), [child.pid])["rss_bytes"] < alone["rss_bytes"] + 20_000_000, "it has ended"
    assert process_report(())["cpu_s"] > alone["cpu_s"], "and what it did stays"


def test_its_figures_move_with_what_it_does() -> None:
    before = process_report(())["fds"]
    read, write = os.pipe()
    try:
        after = process_report(())["fds"]
    finally:
        os.close(read)
        os.close(write)
    assert isinstance(before, int)
    assert after == before + 2
