"""Record what a comparison ran on (machine, kernel, interpreter, packages), and tell two such records apart."""

import gc
import hashlib
import os
import platform
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil
from msgspec import Struct

from shared.measure.quota import Quota
from shared.system.boot import boot_id
from shared.system.descriptors import descriptor_limits
from shared.system.quotas import read_quotas
from tickbench.machine import system
from tickbench.machine.pinning import Pinning

RECORDED_VARIABLES = ("AIOHTTP_", "GEVENT", "LD_", "MALLOC_", "MULTIDICT_", "PYTHON", "UVLOOP_", "YARL_")
"""Beginnings of the names of variables that change how the stacks or the interpreter work."""
GIT_TIMEOUT_S = 5


class PythonBuild(Struct, frozen=True, kw_only=True):
    """The interpreter of every process."""

    version: str
    implementation: str
    build: list[str]
    compiler: str
    configured_with: str
    gc_thresholds: list[int]
    """As the interpreter sets them; a server's own are in its settings."""
    has_gil: bool
    is_debug_build: bool

    @property
    def words(self) -> str:
        """The interpreter, its version and its build."""
        return f"{self.implementation} {self.version} ({', '.join(self.build)}; {self.compiler})"


class Machine(Struct, frozen=True, kw_only=True):
    """The hardware and the kernel, and how busy they were at the start."""

    system: str
    architecture: str
    cpu_model: str
    cores: int | None
    usable_cores: list[int]
    pinning: Pinning
    governors: dict[str, str | None]
    """Core to governor; None where the system shows none, as in most virtual machines."""
    clock_source: str | None
    memory_bytes: int
    descriptor_limits: tuple[int, int]
    ephemeral_ports: int | None
    load_average: tuple[float, float, float]
    steal_percent: float
    cpu_quotas: list[Quota] = []
    """Those of the control groups around it, as far as they can be seen."""
    boot_id: str | None
    machine_id: str | None = None
    """Of this installation; None where the system has none, as in many containers."""


class Environment(Struct, frozen=True, kw_only=True, tag_field="schema", tag="tickbench.environment/1"):
    """What a comparison ran on: the interpreter, the machine, the packages, and the checkout."""

    recorded_at: str
    python: PythonBuild
    machine: Machine
    packages: dict[str, str]
    variables: dict[str, str]
    git_commit: str | None
    """Of the checkout that tickbench runs from; None if it is installed."""
    git_is_clean: bool | None
    git_changes: str | None = None
    """A digest of what was changed since the commit; None if nothing was."""

    @property
    def commit(self) -> str:
        """The commit, and whether anything was changed since."""
        if self.git_commit is None or (self.git_is_clean and self.git_changes is None):
            return self.git_commit or "no checkout"
        return " ".join(filter(None, [self.git_commit, "with changes", self.git_changes]))


def collect_environment(pinning: Pinning) -> Environment:
    """Read everything; takes about half a second, most of it to see the steal."""
    commit, is_clean, changes = git_state(Path(__file__).parents[2])
    return Environment(
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        python=python_build(),
        machine=_machine(pinning),
        packages={each.metadata["Name"]: each.version for each in sorted(metadata.distributions(), key=_name)},
        variables={name: value for name, value in os.environ.items() if name.startswith(RECORDED_VARIABLES)},
        git_commit=commit,
        git_is_clean=is_clean,
        git_changes=changes,
    )


FACTS: dict[str, Callable[[Environment], object]] = {
    "machine": lambda its: its.machine.machine_id,
    "processor": lambda its: its.machine.cpu_model,
    "cores": lambda its: f"{its.machine.cores}, of which {its.machine.usable_cores} usable",
    # To the GiB: a virtual machine that was started anew has some pages more or less.
    "memory": lambda its: f"{its.machine.memory_bytes / 2**30:.0f} GiB",
    "cpu quota": lambda its: _quota_cores(its.machine),
    "open files": lambda its: its.machine.descriptor_limits[1],
    "system": lambda its: its.machine.system,
    "architecture": lambda its: its.machine.architecture,
    "pinning": lambda its: f"server {its.machine.pinning.server}, generator {its.machine.pinning.generator}",
    "governor": lambda its: ", ".join(sorted({str(governor) for governor in its.machine.governors.values()})),
    "clock source": lambda its: its.machine.clock_source,
    "Python": lambda its: its.python.words,
    "commit": lambda its: its.commit,
}
"""What figures can depend on, besides packages and variables: name to how it is read."""


def differences(one: Environment, other: Environment) -> dict[str, tuple[str, str]]:
    """Return the differences that figures can depend on: name to what one has and what the other has."""
    facts = dict(FACTS)
    if not (one.machine.machine_id and other.machine.machine_id):
        del facts["machine"]  # not known of one of them
    pairs = {name: (read(one), read(other)) for name, read in facts.items()}
    for name in sorted({*one.packages, *other.packages}):
        pairs[name] = one.packages.get(name, "not there"), other.packages.get(name, "not there")
    pairs["variables"] = one.variables, other.variables
    return {name: (str(mine), str(its)) for name, (mine, its) in pairs.items() if mine != its}


def _quota_cores(machine: Machine) -> str:
    cores = [quota.cores for quota in machine.cpu_quotas if quota.cores is not None]
    return f"{min(cores):g} cores" if cores else "none"


def python_build() -> PythonBuild:
    """Read what interpreter this is."""
    return PythonBuild(
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        build=list(platform.python_build()),
        compiler=platform.python_compiler(),
        configured_with=sysconfig.get_config_var("CONFIG_ARGS") or "",
        gc_thresholds=list(gc.get_threshold()),
        has_gil=not sysconfig.get_config_var("Py_GIL_DISABLED"),
        is_debug_build=hasattr(sys, "gettotalrefcount"),
    )


def _machine(pinning: Pinning) -> Machine:
    cores = system.usable_cores()
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        architecture=platform.machine(),
        cpu_model=system.cpu_model(),
        cores=os.cpu_count(),
        usable_cores=cores,
        pinning=pinning,
        governors={str(core): system.governor(core) for core in cores},
        clock_source=system.clock_source(),
        memory_bytes=psutil.virtual_memory().total,
        descriptor_limits=descriptor_limits(),
        ephemeral_ports=system.ephemeral_ports(),
        load_average=os.getloadavg(),
        steal_percent=round(system.steal_percent(during_s=0.5), 2),
        cpu_quotas=read_quotas(),
        boot_id=boot_id(),
        machine_id=system.machine_id(),
    )


def git_state(checkout: Path) -> tuple[str | None, bool | None, str | None]:
    """
    Return the commit, whether tracked files are unchanged, and a digest of all changes, new Python files included.

    All None outside of a checkout, or without git.

    """
    if not (checkout / ".git").exists():
        return None, None, None
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        is_clean = not _git(checkout, "status", "--porcelain", "--untracked-files=no")
        changes = [_git(checkout, "diff", "--binary", "HEAD")]
        for name in _git(checkout, "ls-files", "--others", "--exclude-standard", "*.py").splitlines():
            changes += [name, (checkout / name).read_bytes().hex()]
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None, None, None
    return commit, is_clean, hashlib.sha256("\n".join(changes).encode()).hexdigest()[:12] if any(changes) else None


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=GIT_TIMEOUT_S).stdout.strip()


def _name(distribution: metadata.Distribution) -> str:
    return str(distribution.metadata["Name"]).lower()
