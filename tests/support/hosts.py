"""
Hosts of a test's own on this machine: network namespaces, each two joined by a veth pair.

Each has an address and a name and, where asked, another monotonic clock and another boot id, as another machine has.
(No namespace has a CLOCK_REALTIME of its own.) Nothing has a name in the system that could stay: a namespace is there
as long as a process is in it. One in each host only waits for the end of its stdin, a pipe that the test holds, and all
others are killed with the thread that started them; so however a test ends, its hosts and what runs in them do, too.
"""

import os
import select
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from tests.support.warm import WarmProcess, is_warm

ROOT = Path(__file__).parents[2]
NETWORK = "10.97.0."
UP_LIMIT_S = 10.0
IP_LIMIT_S = 20.0
OFFSET_S = 1000
"""How far a monotonic clock that differs is ahead of this machine's."""

UNSHARE = ("unshare", "--net", "--uts", "--mount", "--time", "--monotonic", str(OFFSET_S), "--fork")
"""What a test of hosts is marked with: ``pytest.mark.unshare(*UNSHARE)``."""

NEWTIME, NEWNS, NEWUTS, NEWNET = 0x80, 0x20000, 0x4000000, 0x40000000
"""From linux/sched.h."""

STAYS = 'echo "$0" >/proc/sys/kernel/hostname && if [ -n "$1" ]; then mount --bind "$1" "$2"; fi && echo $$ && exec cat'
"""Take on a name and a boot id, say which process this is, and wait for the end of stdin."""
UNLESS_ORPHANED = '[ "$PPID" = "$0" ] && exec "$@"'
"""Go on, unless whoever started this ended before it could ask to be killed then."""
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass
class Host:
    """A host that is up."""

    name: str
    address: str
    pid: int
    """Of the process that keeps it."""
    differs: bool = False
    """Whether it has another monotonic clock and another boot id than this machine."""
    links: list[str] = field(default_factory=list)
    """Its ends of the veth pairs."""

    def command(self, *words: object) -> list[str]:
        """Return a command that runs ``words`` in this host, as the process that it is started as."""
        spaces = ["--net", "--uts", "--mount", *(["--time"] if self.differs else [])]
        enter = ["nsenter", "--target", str(self.pid), *spaces, "--wd", "--no-fork", "--"]
        mortal = ["setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", UNLESS_ORPHANED, str(os.getpid())]
        return [*enter, *mortal, *map(str, words)]

    def start(self, *words: object, **streams: Any) -> subprocess.Popen[str]:
        """Return Popen of a command in this host; it has this process's variables, but for Locust's and ours."""
        return subprocess.Popen(self.command(*words), text=True, env=_environment(), **streams)

    def python(self, *words: object, modules: tuple[str, ...] | None, **streams: Any) -> subprocess.Popen[str]:
        """Return Popen of ``python WORDS`` in this host, warm if it may be; else as :meth:`start`."""
        if modules is None or not is_warm(_environment()):
            return self.start(sys.executable, *words, **streams)
        inside = self.pid, NEWNET | NEWUTS | NEWNS | (NEWTIME if self.differs else 0)
        arguments = list(map(str, words))
        return WarmProcess(
            arguments, modules=modules, inside=inside, cwd=ROOT, env=_environment(), text=True, **streams
        )

    def ip(self, *lines: str) -> None:
        """Have ip(8) do what each line says."""
        command = ["nsenter", "--target", str(self.pid), "--net", "--", "ip", "-batch", "-"]
        done = subprocess.run(
            command, input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=IP_LIMIT_S, check=False
        )
        assert done.returncode == 0, done.stderr

    def cut_off(self) -> None:
        """Take it off the network."""
        self.ip(*(f"link set {link} down" for link in self.links))


@contextmanager
def hosts(*names: str, differing: Sequence[str] = ()) -> Iterator[list[Host]]:
    """Have hosts for the length of a ``with`` block; those named in ``differing`` have another clock and boot id."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        up = []
        for number, name in enumerate(names, 1):
            boot_id = folder / name
            boot_id.write_text(f"{uuid.uuid4()}\n", "ascii")
            keeper = stack.enter_context(_kept(name, boot_id if name in differing else None))
            up.append(Host(name, f"{NETWORK}{number}", keeper, differs=name in differing))
        for host in up:
            host.ip("link set lo up", f"addr add {host.address}/32 dev lo")
        for one, other in combinations(up, 2):
            _join(one, other)
        yield up


@contextmanager
def _kept(name: str, boot_id: Path | None) -> Iterator[int]:
    """Keep the namespaces of a host; yield the pid of the process that does."""
    clock = ["--time", "--monotonic", str(OFFSET_S), "--boottime", str(OFFSET_S)] if boot_id else []
    command = ["unshare", "--net", "--uts", "--mount", *clock, "--fork", "--kill-child", "--"]
    command += ["sh", "-c", STAYS, name, str(boot_id or ""), BOOT_ID]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert select.select([process.stdout], [], [], UP_LIMIT_S)[0], f"host {name} does not come up"
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            try:
                process.wait(UP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("LOCUST_", "TICKBENCH_"))}


def _join(one: Host, other: Host) -> None:
    """Join two hosts by a veth pair; each end is called after whom it leads to."""
    one.ip(f"link add to-{other.name} type veth peer name to-{one.name} netns {other.pid}")
    for this, that in ((one, other), (other, one)):
        link = f"to-{that.name}"
        this.ip(f"link set {link} up", f"route add {that.address}/32 dev {link} src {this.address}")
        this.links.append(link)
