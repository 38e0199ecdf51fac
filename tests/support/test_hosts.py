"""What the hosts of a test's own are, and that nothing of them is left, however a test ends."""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from shared.system.boot import boot_id
from tests.support.hosts import BOOT_ID, OFFSET_S, ROOT, UNSHARE, hosts
from tests.support.server import wait_until

pytestmark = pytest.mark.unshare(*UNSHARE)

KNOCK = """
import socket, sys
for address in sys.argv[1:]:
    try:
        socket.create_connection((address, 9), 0.5)
    except ConnectionRefusedError:
        print("there", end=" ")
    except OSError:
        print("away", end=" ")
"""

HOSTS_UNTIL_KILLED = """
import sys
from tests.support.hosts import hosts
with hosts("a", "b", differing=["b"]) as up:
    for host in up:
        host.start("sleep", "600")
        host.python(sys.argv[1], modules=("json",))
    print(*[host.pid for host in up], flush=True)
    sys.stdin.read()
"""


def said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout


def in_the_networks(networks: set[str]) -> list[int]:
    """Return the processes that are in some network namespaces."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if str((process / "ns" / "net").readlink()) in networks:
                found.append(int(process.name))
    return found


def test_hosts_have_names_and_reach_each_other_until_one_is_cut_off() -> None:
    with hosts("a", "b", "c", differing=["c"]) as (a, b, c):
        reaches_all = a.command(sys.executable, "-c", KNOCK, b.address, c.address)
        assert said(reaches_all) == "there there "
        assert said(c.command("uname", "-n")) == "c\n"
        c.cut_off()
        assert said(reaches_all) == "there away "


def test_one_that_differs_has_another_monotonic_clock_and_boot_id(tmp_path: Path) -> None:
    clock = tmp_path / "clock.py"
    clock.write_text("import time; print(time.monotonic(), time.time())")
    with hosts("a", "c", differing=["c"]) as (a, c):
        assert said(a.command("cat", BOOT_ID)).strip() == boot_id()
        assert said(c.command("cat", BOOT_ID)).strip() not in {"", boot_id()}
        before_s, since_s = time.monotonic(), time.time()
        told = []
        for modules in (None, ("json",)):  # a new interpreter, and a fork of one that has gone there
            for host in (a, c):
                with host.python(clock, modules=modules, stdout=subprocess.PIPE) as process:
                    told.append(tuple(map(float, process.communicate(timeout=20)[0].split())))
        after_s, until_s = time.monotonic(), time.time()
    for (same, _), (other, wall) in (told[:2], told[2:]):
        assert before_s <= same <= after_s
        assert before_s + OFFSET_S <= other <= after_s + OFFSET_S
        assert since_s <= wall <= until_s


def test_nothing_of_them_is_left_when_who_has_them_is_killed(tmp_path: Path) -> None:
    sleeper = tmp_path / "sleeper.py"
    sleeper.write_text("import time; time.sleep(600)")
    command = [sys.executable, "-c", HOSTS_UNTIL_KILLED, str(sleeper)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pids = list(map(int, owner.stdout.readline().split()))
        networks = {str(Path(f"/proc/{pid}/ns/net").readlink()) for pid in pids}
        assert len(networks) == 2
        wait_until(lambda: len(in_the_networks(networks)) >= 6)  # a keeper and two sleepers each
        owner.kill()
        owner.wait()
        wait_until(lambda: not in_the_networks(networks))
