import os
from pathlib import Path

from shared.system.proc_stat import CoreTicks, ProcessUse, core_ticks, process_uses


def test_each_core_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(
        "cpu  3 3 3 3 3 3 3 3 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu12 8 7 6 5 4 3 2 1\nintr 7\n\n"
    )
    assert core_ticks(tmp_path) == {0: CoreTicks(1, 2, 3, 4, 5, 6, 7, 8), 12: CoreTicks(8, 7, 6, 5, 4, 3, 2, 1)}


def test_where_the_system_does_not_say_there_is_nothing(tmp_path: Path) -> None:
    assert core_ticks(tmp_path) == {}
    (tmp_path / "stat").write_text("cpu0 1 2 3\n")
    assert core_ticks(tmp_path) == {}


def test_this_machine_tells_of_every_core_that_we_may_run_on() -> None:
    assert os.sched_getaffinity(0) <= core_ticks().keys()


def test_each_process_has_what_it_and_its_ended_children_used(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()  # it has ended
    (tmp_path / "self").mkdir()
    (tmp_path / "40").mkdir()
    (tmp_path / "40" / "stat").write_text(f"40 (a) b) S 7 {'0 ' * 9}100 20 3000 400 {'0 ' * 6}5 0 0\n")
    (use,) = process_uses(tmp_path).items()
    assert use == (40, ProcessUse("a) b", 7, 1.2, 35.2, 5 * os.sysconf("SC_PAGE_SIZE")))
    assert process_uses()[os.getpid()].parent == os.getppid()
