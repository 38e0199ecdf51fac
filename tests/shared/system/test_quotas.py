"""The quotas that hold for a process are found however its control groups are mounted."""

from pathlib import Path

import pytest

from shared.measure.quota import Quota
from shared.system.quotas import read_quotas

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpuset rw shared:15 - cgroup cgroup rw,cpuset\n"
    "33 31 0:30 {root} /sys/fs/cgroup/cpu,cpuacct rw shared:16 - cgroup cgroup rw,cpu,cpuacct\n"
)


class System:
    """The files that a kernel would show."""

    def __init__(self, root: Path, mountinfo: str) -> None:
        self.root = root
        self.write("proc/self/mountinfo", mountinfo)

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")

    def place(self, groups: str, pid: int | str = "self") -> None:
        self.write(f"proc/{pid}/cgroup", groups)

    def version_2(self, group: str, limit: str, periods: int = 0, us: int = 0) -> None:
        folder = f"sys/fs/cgroup/{group}"
        self.write(f"{folder}/cpu.max", f"{limit}\n")
        self.write(f"{folder}/cpu.stat", f"usage_usec 9\nnr_periods 99\nnr_throttled {periods}\nthrottled_usec {us}\n")

    def version_1(self, group: str, quota_us: int, periods: int = 0, us: int = 0) -> None:
        folder = f"sys/fs/cgroup/cpu,cpuacct/{group}"
        self.write(f"{folder}/cpu.cfs_quota_us", f"{quota_us}\n")
        self.write(f"{folder}/cpu.cfs_period_us", "100000\n")
        self.write(f"{folder}/cpu.stat", f"nr_periods 99\nnr_throttled {periods}\nthrottled_time {us * 1000}\n")


def test_every_group_around_a_process_may_have_a_quota(tmp_path: Path) -> None:
    system = System(tmp_path, V2)
    system.place("0::/kube/pod/app\n", pid=77)
    system.version_2("kube/pod/app", "50000 100000", 3, 120_000)
    system.version_2("kube/pod", "max 100000")
    system.version_2("kube", "150000 100000", 1, 5000)
    assert read_quotas(77, tmp_path) == [Quota("/kube/pod/app", 0.5, 3, 120_000), Quota("/kube", 1.5, 1, 5000)]
    assert read_quotas("self", tmp_path) == [], "it is in no group that can be seen"


def test_a_container_sees_its_own_quota_at_the_root(tmp_path: Path) -> None:
    system = System(tmp_path, V2)
    system.place("0::/\n")
    system.version_2("", "25000 50000", 7, 900)
    assert read_quotas(system=tmp_path) == [Quota("/", 0.5, 7, 900)]


@pytest.mark.parametrize(("root", "shown"), [("/", "docker/c1"), ("/docker/c1", "")])
def test_version_1_with_and_without_what_surrounds_it(tmp_path: Path, root: str, shown: str) -> None:
    system = System(tmp_path, V1.format(root=root))
    system.place("5:cpuset:/else\n4:cpu,cpuacct:/docker/c1\n0::/x\n")
    system.version_1(shown, 50_000, 2, 70_000)
    assert read_quotas(system=tmp_path) == [Quota(f"/{shown}", 0.5, 2, 70_000)]


def test_version_1_without_a_quota(tmp_path: Path) -> None:
    system = System(tmp_path, V1.format(root="/"))
    system.place("4:cpu,cpuacct:/a\n")
    system.version_1("a", -1)
    assert read_quotas(system=tmp_path) == []


def test_a_quota_that_was_lifted_still_says_what_it_held_back(tmp_path: Path) -> None:
    system = System(tmp_path, V2)
    system.place("0::/a\n")
    system.version_2("a", "max 100000", 3, 4000)
    assert read_quotas(system=tmp_path) == [Quota("/a", None, 3, 4000)]


@pytest.mark.parametrize("groups", ["", "0::/../other\n", "nonsense\n", "7:memory:/a\n", "0::\n"])
def test_a_group_that_cannot_be_seen_has_no_quota(tmp_path: Path, groups: str) -> None:
    system = System(tmp_path, V2)
    system.place(groups)
    assert read_quotas(system=tmp_path) == []


@pytest.mark.parametrize("text", ["", "max", "50000", "x y", "50000 0", "-5 100000"])
def test_a_limit_that_is_none(tmp_path: Path, text: str) -> None:
    system = System(tmp_path, V2)
    system.place("0::/a\n")
    system.version_2("a", text)
    assert read_quotas(system=tmp_path) == []


def test_a_mount_with_a_space_in_its_name(tmp_path: Path) -> None:
    system = System(tmp_path, V2.replace("/sys/fs/cgroup", "/my\\040groups"))
    system.place("0::/a\n")
    system.write("my groups/a/cpu.max", "200000 100000\n")
    assert read_quotas(system=tmp_path) == [Quota("/a", 2.0)]


def test_a_system_without_groups(tmp_path: Path) -> None:
    assert read_quotas(system=tmp_path) == []
    assert isinstance(read_quotas(), list)
    assert read_quotas(2**22 + 1) == [], "no such process"


def test_a_quota_that_is_set_and_a_group_that_is_left_are_seen(tmp_path: Path) -> None:
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/self").mkdir()
    (tmp_path / "proc/self/mountinfo").write_text("30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    for group in ("a", "b"):
        (tmp_path / "sys/fs/cgroup" / group).mkdir(parents=True)
    (tmp_path / "proc/7/cgroup").write_text("0::/a\n")
    assert read_quotas(7, tmp_path) == []
    (tmp_path / "sys/fs/cgroup/a/cpu.max").write_text("50000 100000\n")
    assert read_quotas(7, tmp_path) == [Quota("/a", 0.5)]
    (tmp_path / "sys/fs/cgroup/a/cpu.max").write_text("25000 100000\n")
    assert read_quotas(7, tmp_path) == [Quota("/a", 0.25)]
    (tmp_path / "sys/fs/cgroup/b/cpu.max").write_text("100000 100000\n")
    (tmp_path / "proc/7/cgroup").write_text("0::/b\n")
    assert read_quotas(7, tmp_path) == [Quota("/b", 1.0)]
