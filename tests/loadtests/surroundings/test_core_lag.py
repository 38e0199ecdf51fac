import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtests.surroundings import core_lags as coreprobes
from loadtests.surroundings.core_lag import PERIOD_NS
from loadtests.surroundings.core_lags import CoreLags
from shared.measure.histogram import Histogram, HistogramSummary

pytestmark = pytest.mark.xdist_group("cores")  # a probe goes before all others on its core

PATIENCE_S = 30
ROOT = Path(__file__).parents[3]
CPU = max(os.sched_getaffinity(0))
NO_CPU = 9999
COMMAND = [sys.executable, "-m", "loadtests.surroundings.core_lag"]

Child = subprocess.Popen[bytes]


@contextmanager
def probe(cpu: int = CPU) -> Iterator[Child]:
    with subprocess.Popen(
        [*COMMAND, str(cpu)], cwd=ROOT, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        try:
            assert read_line(child) == b"ready\n"
            yield child
        finally:
            child.kill()


def read_line(child: Child) -> bytes:
    assert child.stdout is not None
    ready, _, _ = select.select([child.stdout], [], [], PATIENCE_S)
    assert ready, "no line came"
    return child.stdout.readline()


def tell(child: Child, orders: bytes) -> None:
    assert child.stdin is not None
    child.stdin.write(orders)


def ask(child: Child) -> dict[str, Any]:
    tell(child, b"report\n")
    report: dict[str, Any] = json.loads(read_line(child))
    return report


def until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.01)


def stopped(pid: int) -> bool:
    return state(pid) == "T"


def ended(pid: int) -> bool:
    """Whether a process is gone, or waits for init to take notice."""
    return state(pid) in {"", "Z"}


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def hold_up(pid: int, hold_s: float = 0.2) -> None:
    os.kill(pid, signal.SIGSTOP)
    until(lambda: stopped(pid))
    time.sleep(hold_s)
    os.kill(pid, signal.SIGCONT)


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def children() -> list[int]:
    """Return the processes of this one that run or were not waited for."""
    return sorted(child.pid for child in psutil.Process().children())


@pytest.fixture
def probes() -> Iterator[CoreLags]:
    """Probes that leave no process and no descriptor."""
    before = children(), descriptors()
    probes = CoreLags()
    yield probes
    probes.stop()
    probes.stop()
    assert (children(), descriptors()) == before


# The process


def test_it_counts_every_period() -> None:
    with probe() as child:
        started_s = time.monotonic()
        tell(child, b"reset\n")
        ask(child)  # it has obeyed
        time.sleep(0.3)
        report = ask(child)
        elapsed_s = time.monotonic() - started_s
    lateness = Histogram.from_summary(HistogramSummary(**report["lateness_ms"]))
    assert 0.3e9 / PERIOD_NS - 2 <= lateness.count <= elapsed_s * 1e9 / PERIOD_NS + 1
    assert report["max_gap_us"] == lateness.max_us
    assert report["cpu"] == CPU
    assert report["scheduling"] in {"fifo", "nice", "normal"}
    assert 0 < report["cpu_s"] < elapsed_s


def test_it_is_pinned_and_has_the_claim_that_it_says() -> None:
    with probe() as child:
        assert os.sched_getaffinity(child.pid) == {CPU}
        fifo = os.sched_getscheduler(child.pid) == os.SCHED_FIFO
        assert (ask(child)["scheduling"] == "fifo") is fifo


def test_a_gap_is_seen_counted_in_each_period_and_forgotten() -> None:
    with probe() as child:
        tell(child, b"reset\n")
        ask(child)  # it has obeyed
        hold_up(child.pid)
        report = ask(child)
        assert report["max_gap_us"] >= 150_000
        lateness = Histogram.from_summary(HistogramSummary(**report["lateness_ms"]))
        assert lateness.count >= 0.2e9 / PERIOD_NS - 1
        # Each of the periods in the gap waits for one period less than the one before.
        in_gap = range(report["max_gap_us"], 0, -PERIOD_NS // 1000)
        assert lateness.mean_us * lateness.count >= sum(in_gap) - 1
        tell(child, b"reset\nreport\n")
        assert json.loads(read_line(child))["lateness_ms"]["count"] == 0


def test_a_gap_before_the_window_is_not_in_it() -> None:
    with probe() as child:
        os.kill(child.pid, signal.SIGSTOP)
        until(lambda: stopped(child.pid))
        time.sleep(0.2)
        tell(child, b"reset\nreport\n")  # in the gap
        os.kill(child.pid, signal.SIGCONT)
        report = json.loads(read_line(child))
    assert report["lateness_ms"]["count"] == 0
    assert report["max_gap_us"] == 0


def test_orders_may_come_in_pieces_and_many_at_once() -> None:
    with probe() as child:
        tell(child, b"rep")
        time.sleep(0.05)
        tell(child, b"ort\nnonsense\n\nreset\nreport\n")
        assert json.loads(read_line(child))["cpu"] == CPU
        assert json.loads(read_line(child))["cpu"] == CPU


def test_the_end_of_stdin_ends_it() -> None:
    with probe() as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("arguments", [[], ["one"], ["-1"], ["1", "2"], [str(NO_CPU)], ["9" * 5000]])
def test_a_wrong_core_is_one_line_and_status_2(arguments: list[str]) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 2
    assert not done.stdout
    assert re.fullmatch(r"(usage: |core 9999 ).+\n", done.stderr)


def test_it_dies_with_its_parent_though_stdin_stays_open() -> None:
    others = "{'gevent', 'locust', 'asyncio', 'numpy', 'threading'}"
    script = f"import loadtests.surroundings.core_lag, sys; print({others} & {{*sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert done.stdout == "set()\n"


# Its parent's side


def test_probes_report_what_their_cores_did(probes: CoreLags) -> None:
    cpus = sorted(os.sched_getaffinity(0))[:4]
    probes.start(cpus)
    probes.reset()
    probes.report()  # they have obeyed
    hold_up(probes._children[-1].pid)
    gaps = probes.report()
    assert [gap.cpu for gap in gaps] == cpus
    assert max(gap.max_gap_us for gap in gaps) >= 150_000
    assert all(gap.lateness_ms.count and gap.lateness_ms.max == gap.max_gap_us / 1000 and gap.cpu_s > 0 for gap in gaps)
    probes.reset()
    assert len(probes.report()) == len(cpus)


def test_at_most_four_probes_run(probes: CoreLags) -> None:
    before = len(children())
    probes.start([CPU] * 6)
    assert len(children()) == before + 4


def test_a_core_that_does_not_exist_is_left_out(probes: CoreLags) -> None:
    before = len(children())
    probes.start([NO_CPU, CPU])
    assert len(children()) == before + 1
    assert [gap.cpu for gap in probes.report()] == [CPU]


def test_nothing_is_left_when_a_process_cannot_be_started(probes: CoreLags, monkeypatch: pytest.MonkeyPatch) -> None:
    before = children(), descriptors()
    spawn = coreprobes._spawn

    def spawn_some(cpu: int) -> Child:
        if cpu == NO_CPU:
            raise BlockingIOError("no more processes")
        return spawn(cpu)

    monkeypatch.setattr(coreprobes, "_spawn", spawn_some)
    with pytest.raises(BlockingIOError):
        probes.start([CPU, NO_CPU])
    assert (children(), descriptors()) == before


def test_a_dead_probe_is_left_out(probes: CoreLags) -> None:
    probes.start([CPU, CPU])
    dead = probes._children[-1].pid
    os.kill(dead, signal.SIGKILL)
    until(lambda: ended(dead))
    probes.reset()
    assert len(probes.report()) == 1
    assert len(probes.report()) == 1


def test_a_probe_that_does_not_answer_is_left_out_and_ended(probes: CoreLags, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coreprobes, "ANSWER_WAIT_S", 0.3)
    probes.start([CPU, CPU])
    mute = probes._children[-1].pid
    os.kill(mute, signal.SIGSTOP)
    until(lambda: stopped(mute))
    assert len(probes.report()) == 1
    assert ended(mute)


def test_a_probe_that_does_not_end_is_killed(probes: CoreLags, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coreprobes, "END_WAIT_S", 0.3)
    probes.start([CPU])
    mute = probes._children[-1].pid
    os.kill(mute, signal.SIGSTOP)
    until(lambda: stopped(mute))
    probes.stop()
    assert ended(mute)


def test_probes_can_be_started_again(probes: CoreLags) -> None:
    for _ in range(2):
        probes.start([CPU])
        assert len(probes.report()) == 1
        probes.stop()
        assert probes.report() == []


def test_a_folder_of_the_users_does_not_come_before_the_package(
    probes: CoreLags, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "loadtests").mkdir()
    (tmp_path / "loadtests" / "__init__.py").write_text("raise SystemExit(1)", "ascii")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder or str(ROOT) for folder in sys.path])
    probes.start([CPU])
    assert len(probes.report()) == 1


def test_the_hub_goes_on_while_a_probe_does_not_answer() -> None:
    script = f"""
from gevent import monkey
monkey.patch_all()
import os, signal, gevent
from pathlib import Path
from loadtests.surroundings import core_lags as coreprobes

def beat():
    global beats
    while True:
        gevent.sleep(0.01)
        beats += 1

def fds():
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())

coreprobes.CoreLags().stop()
beats = 0
gevent.spawn(beat)
gevent.sleep(0.02)
before = fds()
coreprobes.ANSWER_WAIT_S = coreprobes.END_WAIT_S = 0.5
probes = coreprobes.CoreLags()
probes.start([{CPU}, {CPU}])
probes.reset()
gevent.sleep(0.1)
assert len(probes.report()) == 2
mute, other = (child.pid for child in probes._children)
os.kill(mute, signal.SIGSTOP)
beats = 0
assert len(probes.report()) == 1
assert beats >= 5, beats
os.kill(other, signal.SIGSTOP)
beats = 0
probes.stop()
assert beats >= 5, beats
for pid in mute, other:
    assert not Path("/proc", str(pid)).exists()
assert fds() == before, (fds(), before)
killed = gevent.spawn(probes.start, [{CPU}])
gevent.sleep(0.01)
killed.kill()
assert probes._children == []
assert fds() == before, (fds(), before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
