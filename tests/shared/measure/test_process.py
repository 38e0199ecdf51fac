import os
import platform
import re
from importlib.metadata import version

from shared.measure.process import boot_id, process_report


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
        "cpu_s",
        "rss_bytes",
        "threads",
        "fds",
        "cpus",
        "python",
        "packages",
        "gc_thresholds",
        "gc_frozen",
    }


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
