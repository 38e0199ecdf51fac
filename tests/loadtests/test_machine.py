import gzip
import socket
import time
from pathlib import Path

import pytest

from loadtests.machine import (
    CoreTimes,
    MachineSample,
    keeps_interrupts_apart,
    own_cpus,
    sample_machine,
    use_between,
)

STAT = """\
cpu  4705 356 584 3699 23 0 23 17 0 0
cpu0 1393280 32966 572056 13343292 6130 100 17875 200 0 0
cpu12 1335498 29000 550000 13400000 6000 0 10000 300 0 0
intr 1 2 3
"""


def test_cores_are_read_from_proc_stat(tmp_path: Path) -> None:
    path = tmp_path / "stat"
    path.write_text(STAT)
    sample = sample_machine(path, interrupts_apart=True)
    assert sample is not None
    assert sample.cores == {
        0: CoreTimes(idle_s=133494.22, steal_s=2.0, interrupts_s=179.75),
        12: CoreTimes(idle_s=134060.0, steal_s=3.0, interrupts_s=100.0),
    }


def test_interrupts_that_a_process_is_charged_with_are_not_counted_twice(tmp_path: Path) -> None:
    path = tmp_path / "stat"
    path.write_text(STAT)
    sample = sample_machine(path, interrupts_apart=False)
    assert sample is not None
    assert [core.interrupts_s for core in sample.cores.values()] == [0, 0]


@pytest.mark.parametrize(
    ("config", "apart"),
    [
        (b"CONFIG_NO_HZ=y\nCONFIG_IRQ_TIME_ACCOUNTING=y\n", True),
        (b"# CONFIG_IRQ_TIME_ACCOUNTING is not set\nCONFIG_HAVE_IRQ_TIME_ACCOUNTING=y\n", False),
    ],
)
def test_the_kernel_says_whom_interrupts_are_charged_to(tmp_path: Path, config: bytes, apart: bool) -> None:
    absent, packed, plain = (tmp_path / name for name in ("absent.gz", "config.gz", "config-6"))
    packed.write_bytes(gzip.compress(config))
    plain.write_bytes(config)
    assert keeps_interrupts_apart((absent, packed)) is apart
    assert keeps_interrupts_apart((absent, plain)) is apart
    assert keeps_interrupts_apart((absent,)) is False


def test_no_interrupts_are_overlooked_or_counted_twice_on_this_machine() -> None:
    """A process that does nothing but send to itself, on a core of its own, is charged with what the core did."""
    before, started_s = sample_machine(), time.process_time()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))
        own.connect(own.getsockname())
        while time.process_time() - started_s < 0.5:
            own.send(b"x" * 400)
            own.recv(400)
    after = sample_machine()
    assert before is not None
    assert after is not None
    use = use_between(before, after, list(before.cores), known_cpu_s=0)
    assert use is not None
    assert use.foreign_percent is not None
    # Of all cores at least what this process took: what others take is on top of it.
    took_percent = 100 * (time.process_time() - started_s) / ((after.at_s - before.at_s) * len(before.cores))
    assert use.foreign_percent > took_percent - 2


def test_a_system_without_proc_stat(tmp_path: Path) -> None:
    assert sample_machine(tmp_path / "stat") is None


def test_this_machine_has_our_cores() -> None:
    sample = sample_machine()
    assert sample is not None
    assert set(own_cpus()) <= set(sample.cores)


def samples() -> tuple[MachineSample, MachineSample]:
    """Return two samples, 10 s apart; core 0 was 6 s idle, 1 s stolen, 0.5 s in interrupts; core 1 was idle."""
    before = MachineSample(100.0, {0: CoreTimes(50.0, 5.0, 2.0), 1: CoreTimes(50.0, 0.0, 0.0)})
    after = MachineSample(110.0, {0: CoreTimes(56.0, 6.0, 2.5), 1: CoreTimes(60.0, 0.0, 0.0)})
    return before, after


def test_what_is_neither_idle_nor_known_is_foreign() -> None:
    use = use_between(*samples(), cpus=[0], known_cpu_s=2.0)
    assert use is not None
    assert use.steal_percent == pytest.approx(10)
    assert use.foreign_percent == pytest.approx(5)


def test_several_cores() -> None:
    use = use_between(*samples(), cpus=[0, 1], known_cpu_s=2.0)
    assert use is not None
    assert use.steal_percent == pytest.approx(10)
    assert use.foreign_percent == pytest.approx(2.5)


def test_more_known_than_busy_is_no_less_than_nothing() -> None:
    use = use_between(*samples(), cpus=[1], known_cpu_s=2.0)
    assert use is not None
    assert use.foreign_percent == 0


def test_steal_is_known_whoever_else_was_there() -> None:
    use = use_between(*samples(), cpus=[0], known_cpu_s=None)
    assert use is not None
    assert use.steal_percent == pytest.approx(10)
    assert use.foreign_percent is None


def test_cores_that_are_not_there() -> None:
    assert use_between(*samples(), cpus=[7], known_cpu_s=0) is None
    assert use_between(*samples(), cpus=[], known_cpu_s=0) is None
