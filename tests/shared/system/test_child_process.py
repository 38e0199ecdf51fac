import os
import signal
import sys
import time
from pathlib import Path

import pytest

from shared.system.child_process import ChildProcess

ECHO = "import socket, sys; sock = socket.socket(fileno=int(sys.argv[1])); sock.sendall(sock.recv(9)); sock.recv(9)"


def wait_for_its_end(child: ChildProcess) -> None:
    for _ in range(1000):
        if child.has_ended():
            return
        time.sleep(0.01)
    pytest.fail("it does not end")


def test_a_child_has_the_descriptor_and_is_of_its_parent_s_group() -> None:
    child = ChildProcess([sys.executable, "-c", ECHO])
    with child.socket:
        child.socket.settimeout(10)
        child.socket.sendall(b"hello")
        assert child.socket.recv(9) == b"hello"
        assert os.getpgid(child.pid) == os.getpgid(0)
        assert not child.has_ended()
        assert child.status is None
    wait_for_its_end(child)
    assert child.status == 0
    child.kill()
    assert child.has_ended()


def test_what_ends_a_group_waits_until_a_child_has_said_what_it_makes_of_it() -> None:
    """A Ctrl-C while it starts, before it can ignore it: it would end with a traceback."""
    ignores = "import signal, sys; signal.signal(2, signal.SIG_IGN); signal.pthread_sigmask(signal.SIG_UNBLOCK, {2})"
    child = ChildProcess([sys.executable, "-c", f"import time; time.sleep(0.1); {ignores}; sys.exit(7)"])
    child.socket.close()
    os.kill(child.pid, signal.SIGINT)
    wait_for_its_end(child)
    assert child.status == 7


def test_a_child_that_is_killed_has_that_for_its_status() -> None:
    child = ChildProcess([sys.executable, "-c", "import time; time.sleep(60)"])
    child.socket.close()
    child.kill()
    wait_for_its_end(child)
    assert child.status == -signal.SIGKILL


def test_a_child_that_somebody_else_has_waited_for_has_no_status() -> None:
    child = ChildProcess([sys.executable, "-c", ""])
    child.socket.close()
    os.waitpid(child.pid, 0)
    assert child.has_ended()
    assert child.status is None


def test_one_that_can_t_be_started_leaves_no_descriptor() -> None:
    before = list(Path("/proc/self/fd").iterdir())
    with pytest.raises(FileNotFoundError):
        ChildProcess(["/no/such/program"])
    assert list(Path("/proc/self/fd").iterdir()) == before
