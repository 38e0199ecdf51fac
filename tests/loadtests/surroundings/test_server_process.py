"""The process of the server is known by more than the number that it states."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from loadtests.surroundings.server_process import family_of, find_process
from loadtests.surroundings.server_stats import ProcessStats
from shared.system.process import OwnProcess

MIB = 2**20


def process(proc: Path, pid: int, parent: int, cpu_s: float, mib: int, *numbers: int, ended_s: float = 0.0) -> None:
    """Show a process that has used ``cpu_s`` and holds so many MiB, by its ``numbers`` from here inwards."""
    folder = proc / str(pid)
    folder.mkdir()
    ticks = os.sysconf("SC_CLK_TCK")
    pages = mib * MIB // os.sysconf("SC_PAGE_SIZE")
    cpu = f"{round(cpu_s * ticks)} 0 {round(ended_s * ticks)} 0"
    (folder / "stat").write_text(f"{pid} (a) b) S {parent} {'0 ' * 9}{cpu} {'0 ' * 6}{pages} 0 0\n")
    nspid = "NSpid:\t" + "\t".join(map(str, numbers or (pid,))) + "\n"
    (folder / "status").write_text(f"Name:\ta\nPid:\t{pid}\n{nspid}Threads:\t1\n")


def stated(pid: int, cpu_s: float, mib: int) -> ProcessStats:
    return ProcessStats(pid, cpu_s, mib * MIB)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "1").mkdir()  # it has ended
    (tmp_path / "self").mkdir()
    process(tmp_path, 7, 2, 0.0, 0)
    process(tmp_path, 40, 1, 3.0, 60)
    process(tmp_path, 41, 40, 2.0, 30, ended_s=1.0)
    process(tmp_path, 90, 1, 5.0, 50, 90, 7)
    process(tmp_path, 91, 1, 50.0, 50, 91, 7)
    return tmp_path


def test_the_number_that_it_states_is_believed_where_all_else_fits(proc: Path) -> None:
    assert find_process(stated(40, 3.1, 60), proc=proc) == 40
    assert find_process(stated(40, 6.0, 90), proc=proc) == 40, "with its child, and what that has waited for"
    assert find_process(stated(40, 2.0, 60), proc=proc) is None
    assert find_process(stated(40, 2.0, 60), 2.0, proc) == 40, "it said so two seconds ago"
    assert find_process(stated(40, 7.0, 90), proc=proc) is None
    assert find_process(stated(40, 3.0, 20), proc=proc) is None
    assert find_process(stated(40, 3.0, 200), proc=proc) is None


def test_a_number_of_a_namespace_of_its_own_is_another_here(proc: Path) -> None:
    assert find_process(stated(7, 5.0, 50), proc=proc) == 90
    assert find_process(stated(7, 50.1, 50), proc=proc) == 91
    assert find_process(stated(7, 20.0, 50), proc=proc) is None, "none of the three"
    assert find_process(stated(8, 5.0, 50), proc=proc) is None


def test_one_of_two_that_fit_is_not_told(proc: Path) -> None:
    process(proc, 92, 1, 5.1, 50, 92, 7)
    assert find_process(stated(7, 5.0, 50), proc=proc) is None


def test_a_family_is_all_that_come_from_it(proc: Path) -> None:
    process(proc, 42, 41, 0.0, 1)
    assert family_of(40, proc) == {40, 41, 42}
    assert family_of(7, proc) == {7}


def test_this_process_knows_itself() -> None:
    report = OwnProcess(()).report()
    mine = ProcessStats(report["pid"], report["cpu_s"], report["rss_bytes"])
    assert find_process(mine) == os.getpid()


IN_A_NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


@pytest.mark.unshare(*IN_A_NAMESPACE)
def test_a_process_in_a_namespace_of_its_own_is_found() -> None:
    script = (
        "import os, psutil\n"
        "use = psutil.Process().memory_info().rss\n"
        "print(os.getpid(), sum(os.times()[:2]), use, flush=True)\n"
        "input()"
    )
    command = [*IN_A_NAMESPACE, sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            number, cpu_s, rss_bytes = process.stdout.readline().split()
            found = find_process(ProcessStats(int(number), float(cpu_s), int(rss_bytes)))
            assert int(number) == 1
            assert found in {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
        finally:
            process.kill()
