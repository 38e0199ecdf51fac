import os
import signal
import subprocess
import sys
import time

MIDDLE = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline().strip(), flush=True)
sys.stdin.read()
"""
CHILD = """
import time
from shared.system.parent import die_with_parent
die_with_parent()
print("asked", flush=True)
time.sleep(60)
"""


def ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that nobody has waited for yet."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 # as short as can be
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_child_ends_when_its_parent_is_killed() -> None:
    command = [sys.executable, "-c", MIDDLE, CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid, said = parent.stdout.readline().split()
        assert said == "asked"
        assert not ended(int(pid))
        os.kill(parent.pid, signal.SIGKILL)
        until = time.monotonic() + 10
        while not ended(int(pid)) and time.monotonic() < until:
            time.sleep(0.01)
        assert ended(int(pid))


def become(parent_pid: int, *command: str) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "shared.system.parent", str(parent_pid), *command]
    return subprocess.run(whole, capture_output=True, text=True, timeout=20, check=False)


def test_another_program_is_tied_to_a_parent_that_is_there() -> None:
    assert become(os.getpid(), sys.executable, "-c", "print(1)").stdout == "1\n"
    orphan = become(1, sys.executable, "-c", "print(1)")
    assert (orphan.returncode, orphan.stdout) == (1, "")
    assert become(os.getpid(), "/no/such/program").stderr == (
        "/no/such/program can't be started: No such file or directory\n"
    )
