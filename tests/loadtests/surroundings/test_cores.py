import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadtests.surroundings.cores import CoreTimes, Known, MachineSample, own_cpus, own_pid, sample_machine, use_between

STAT = """\
cpu  4705 356 584 3699 23 0 23 17 0 0
cpu0 1393280 32966 572056 13343292 6130 100 17875 200 0 0
cpu12 1335498 29000 550000 13400000 6000 0 10000 300 0 0
intr 1 2 3
"""


def process(folder: Path, pid: int, name: str, *cpu: int) -> None:
    (folder / str(pid)).mkdir(parents=True)
    fields = ["S", *["0"] * 10, *map(str, cpu), *["0"] * 30]
    (folder / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "stat").write_text(STAT)
    (tmp_path / "uptime").write_text("1 2\n")
    return tmp_path


def test_cores_are_read_from_proc_stat(proc: Path) -> None:
    sample = sample_machine(proc)
    assert sample is not None
    assert sample.cores == {
        0: CoreTimes(idle_s=133494.22, steal_s=2.0),
        12: CoreTimes(idle_s=134060.0, steal_s=3.0),
    }
    assert sample.process_cpu_s is None, "not even the kernel's threads can be seen"


def test_processes_are_read_with_their_ended_children(proc: Path) -> None:
    process(proc, 2, "kthreadd", 0, 5, 0, 0)
    process(proc, 14, "ksoftirqd/0", 0, 900, 0, 0)
    process(proc, 70, "a (b) 9 c", 100, 20, 3000, 400)
    (proc / "71").mkdir()  # it has ended
    sample = sample_machine(proc)
    assert sample is not None
    assert sample.process_cpu_s == {2: 0.05, 70: 35.2}


def test_one_s_own_number_is_that_of_the_namespace_that_is_shown(proc: Path) -> None:
    assert own_pid() == os.getpid()
    (proc / "self").symlink_to("4711")
    assert own_pid(proc) == 4711, "as in a pid namespace with the /proc of another"
    assert own_pid(proc / "nothing") == os.getpid()


def test_in_a_container_one_does_not_see_all(proc: Path) -> None:
    process(proc, 2, "nginx", 0, 5, 0, 0)
    sample = sample_machine(proc)
    assert sample is not None
    assert sample.process_cpu_s is None


def test_a_system_without_proc_stat(tmp_path: Path) -> None:
    assert sample_machine(tmp_path) is None


def test_this_machine_has_our_cores_and_this_process() -> None:
    sample = sample_machine()
    assert sample is not None
    assert set(own_cpus()) <= set(sample.cores)
    if sample.process_cpu_s is not None:
        assert sample.process_cpu_s[os.getpid()] == pytest.approx(sum(os.times()[:4]), abs=0.1)


def samples(**processes: tuple[dict[int, float], dict[int, float]]) -> tuple[MachineSample, MachineSample]:
    """Return two samples, 10 s apart; core 0 was 6 s idle, 1 s stolen; core 1 was idle."""
    first, last = processes.get("processes", (None, None))
    before = MachineSample(100.0, {0: CoreTimes(50.0, 5.0), 1: CoreTimes(50.0, 0.0)}, first)
    after = MachineSample(110.0, {0: CoreTimes(56.0, 6.0), 1: CoreTimes(60.0, 0.0)}, last)
    return before, after


@pytest.mark.parametrize(("cpus", "steal", "foreign"), [([0], 10, 10), ([0, 1], 10, 5), ([1], 0, 0)])
def test_what_is_neither_idle_nor_known_is_foreign(cpus: list[int], steal: float, foreign: float) -> None:
    use = use_between(*samples(), cpus=cpus, known=Known(2.0))
    assert use is not None
    assert use.steal_percent == pytest.approx(steal)
    assert use.foreign_percent == pytest.approx(foreign)


def test_more_is_not_foreign_than_others_took_anywhere() -> None:
    before = {1: 5.0, 7: 1.0, 8: 90.0, 9: 50.0}
    after = {1: 5.1, 7: 3.0, 8: 90.0, 33: 0.2}  # 9 has ended, 33 has begun
    for pids, foreign in (((7,), 3), ((), 10), ((7, 1), 2), ((7, 1, 33), 0)):
        use = use_between(*samples(processes=(before, after)), cpus=[0], known=Known(2.0, pids))
        assert use is not None
        assert use.foreign_percent == pytest.approx(foreign)


def test_steal_is_known_whoever_else_was_there() -> None:
    use = use_between(*samples(), cpus=[0], known=None)
    assert use is not None
    assert use.steal_percent == pytest.approx(10)
    assert use.foreign_percent is None


def test_cores_that_are_not_there() -> None:
    assert use_between(*samples(), cpus=[7], known=Known(0)) is None
    assert use_between(*samples(), cpus=[], known=Known(0)) is None


def test_a_guest_on_a_core_is_seen_as_large_as_it_is() -> None:
    """Beside this process, which only sends to itself: receiving is its own work, whoever does it."""
    cpu = max(own_cpus())
    guest = f"import os, time\nos.sched_setaffinity(0, {{{cpu}}})\nend = time.monotonic() + 20\n"
    guest += "while time.monotonic() < end:\n t = time.process_time() + 0.02\n while time.process_time() < t: pass\n"
    guest += " time.sleep(0.1)"
    before = sample_machine()
    started_s = time.process_time()
    with subprocess.Popen([sys.executable, "-c", guest]) as process:
        time.sleep(1.5)
        after = sample_machine()
        process.kill()
    assert before is not None
    assert after is not None
    use = use_between(before, after, [cpu], Known(time.process_time() - started_s, (os.getpid(),)))
    assert use is not None
    assert use.foreign_percent is not None
    assert use.foreign_percent > 8  # others of this machine come on top
