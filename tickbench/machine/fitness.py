"""
Judge whether a machine is fit to measure on, finding by finding, and say what to do where it is not.

The findings are arguments; the thresholds stand here, at the top.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from shared.measure.quota import Quota, in_words, quota_words
from tickbench.machine.other_processes import Other

NEEDED_CORES = 2
NEEDED_DESCRIPTORS = 1_100
COMFORTABLE_DESCRIPTORS = 12_000
"""For 10,000 connections, which are so many descriptors on either side."""
COMFORTABLE_PORTS = 12_000
GOOD_CLOCK_SOURCES = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page")
"""Clock sources that a program reads without a system call, to the nanosecond."""
QUIET_LOAD_PER_CORE = 0.5
STEAL_WARNING_PERCENT = 1.0
STEAL_LIMIT_PERCENT = 5.0
"""As in the validity of a run."""
FOREIGN_LIMIT_PERCENT = 3.0
"""As in the validity of a run."""
SHOWN_OTHERS = 3
OTHER_COLLECTOR = ((3, 14, 0), (3, 14, 4))
"""First and last Python with the incremental garbage collector."""


class MachineCheck(Struct, frozen=True):
    """One thing looked at: ``words`` say what was found and, unless it is ok, what to do."""

    name: str
    level: Literal["ok", "warn", "fail"]
    words: str


def judge_cores(usable: int) -> MachineCheck:
    """Fail where server and generator do not have a core each."""
    if usable < NEEDED_CORES:
        words = "1 usable core: server and generator would share it; give the machine, container or taskset 2"
        return MachineCheck("cores", "fail", words)
    return MachineCheck("cores", "ok", f"{usable} usable: one for the server, one for the generator")


def judge_quotas(quotas: list[Quota], usable: int) -> MachineCheck:
    """Warn of quotas of CPU time: they stop a process until the next period, and no stack can help being late then."""
    name = "cpu quota"
    limits = [quota for quota in quotas if quota.cores is not None]
    least = min(limits, key=lambda quota: quota.cores or 0, default=None)
    so_far = "; ".join(f"held back {in_words([quota])} so far" for quota in quotas if quota.throttled_periods)
    if least is None or least.cores is None:
        # What was throttled before the quota was taken away no longer matters.
        return MachineCheck(name, "ok", "none to be seen: no control group limits the CPU time")
    found = f"{quota_words(least)}: worth {least.cores:g} of {usable} usable cores"
    found = f"{found}; {so_far}" if so_far else found
    if least.cores < NEEDED_CORES:
        words = f"{found}; server and generator need a core each: raise it to {NEEDED_CORES} or more (cpu.max, --cpus)"
        return MachineCheck(name, "fail", words)
    if least.cores < usable or so_far:
        words = f"{found}; a run that it stops is not valid: take it away (cpu.max, --cpus), and pin to cores instead"
        return MachineCheck(name, "warn", words)
    return MachineCheck(name, "ok", found)


def judge_descriptors(hard_limit: int) -> MachineCheck:
    """Judge the limit of open files: each connection is one in the server and one in the generator."""
    name = "open files"
    if hard_limit < NEEDED_DESCRIPTORS:
        words = f"hard limit {hard_limit}: under 1,000 connections; raise it (ulimit -Hn, limits.conf, LimitNOFILE)"
        return MachineCheck(name, "fail", words)
    if hard_limit < COMFORTABLE_DESCRIPTORS:
        words = f"hard limit {hard_limit}: not enough for 10,000 connections; raise it (limits.conf, LimitNOFILE)"
        return MachineCheck(name, "warn", words)
    return MachineCheck(name, "ok", f"hard limit {hard_limit}; children are started with all of it")


def judge_clock_source(source: str | None) -> MachineCheck:
    """Warn of a clock source that costs a system call a reading."""
    name = "clock source"
    if source is None:
        return MachineCheck(name, "warn", "the system does not say; read /sys/devices/system/clocksource on the host")
    if source not in GOOD_CLOCK_SOURCES:
        words = f"{source}: each reading is a slow system call; set {GOOD_CLOCK_SOURCES[0]} if the machine offers it"
        return MachineCheck(name, "warn", words)
    return MachineCheck(name, "ok", source)


def judge_steal(percent: float) -> MachineCheck:
    """Fail where the hypervisor takes time: that makes ticks late through no fault of a stack."""
    name, found = "steal", f"{percent:.1f} % in the last second"
    if percent > STEAL_LIMIT_PERCENT:
        words = f"{found}: runs would not be valid; use a quieter host or dedicated cores"
        return MachineCheck(name, "fail", words)
    if percent > STEAL_WARNING_PERCENT:
        return MachineCheck(name, "warn", f"{found}: the host is shared; prefer a quieter hour, or dedicated cores")
    return MachineCheck(name, "ok", found)


def judge_governors(governors: set[str | None]) -> MachineCheck:
    """Warn of cores that change their frequency: equal work takes unequal time."""
    name = "governor"
    known = sorted(governor for governor in governors if governor)
    if not known:
        return MachineCheck(name, "ok", "the system shows none (usual in virtual machines)")
    if known != ["performance"]:
        words = f"{', '.join(known)}: the frequency changes with the load; cpupower frequency-set -g performance"
        return MachineCheck(name, "warn", words)
    return MachineCheck(name, "ok", "performance")


def judge_load(load_average: float, cores: int) -> MachineCheck:
    """Warn of a high load average: other processes take the measured cores."""
    name, found = "load average", f"{load_average:.2f} over the last minute on {cores} cores"
    if load_average > QUIET_LOAD_PER_CORE * cores:
        return MachineCheck(name, "warn", f"{found}: something else is running; end it, or wait until it is done")
    return MachineCheck(name, "ok", found)


def judge_others(others: Sequence[Other]) -> MachineCheck:
    """Warn of each process that takes so much of a core that it would spoil a run."""
    name = "other processes"
    busy = [other for other in others if other.percent > FOREIGN_LIMIT_PERCENT]
    if not busy:
        return MachineCheck(
            name, "ok", f"none that was seen took {FOREIGN_LIMIT_PERCENT:g} % of a core in the last second"
        )
    found = ", ".join(
        f"{other.name} (pid {other.pid}) took {other.percent:.0f} %"
        + (f" of core {other.core}" if other.core is not None else "")
        for other in busy[:SHOWN_OTHERS]
    )
    more = f" and {len(busy) - SHOWN_OTHERS} more" if len(busy) > SHOWN_OTHERS else ""
    return MachineCheck(name, "warn", f"{found}{more}; end them, or keep them off the measured cores (taskset)")


def judge_ports(ports: int | None) -> MachineCheck:
    """Judge the number of local ports: each connection from one address to one server needs one."""
    name = "local ports"
    if ports is None:
        return MachineCheck(
            name, "warn", "the system does not say how many; expect failures above some 10,000 connections"
        )
    if ports < COMFORTABLE_PORTS:
        words = f"{ports}: not enough for 10,000 connections; widen net.ipv4.ip_local_port_range"
        return MachineCheck(name, "warn", words)
    return MachineCheck(name, "ok", f"{ports} for outgoing connections")


def judge_timestamps(available: bool) -> MachineCheck:
    """Warn where the kernel gives no receive timestamps: arrival is then when Python reads."""
    name = "receive timestamps"
    if not available:
        words = "none from the kernel: arrival is the time of the read, a busy generator spoils the run; use Linux"
        return MachineCheck(name, "warn", words)
    return MachineCheck(name, "ok", "the kernel stamps what a TCP socket receives")


def judge_python(
    version: tuple[int, int, int], implementation: str, is_debug_build: bool, has_gil: bool
) -> MachineCheck:
    """Warn of builds of Python whose costs are not those of the usual one."""
    found = f"{implementation} {'.'.join(map(str, version))}"
    oddities = []
    if is_debug_build:
        oddities.append("a debug build, several times slower")
    if not has_gil:
        oddities.append("built without the GIL, with other costs")
    if OTHER_COLLECTOR[0] <= version <= OTHER_COLLECTOR[1]:
        oddities.append("with the garbage collector of 3.14.0 to 3.14.4, other pauses")
    if oddities:
        return MachineCheck("python", "warn", f"{found}: {'; '.join(oddities)}; compare only with the same build")
    return MachineCheck("python", "ok", found)
