"""SIGHUP asks a cluster for a restart; the one that a terminal sends as it goes ends it."""

import os
import pty
import signal
import subprocess
import sys

LISTENER = """
import os, sys
from tickbench.cluster.running import _restarts_asked
from tickbench.errors import InterruptedByUserError
if sys.argv[1:]:
    os.open(sys.argv[1], os.O_RDWR)  # the first terminal that the leader of a session opens is its own
try:
    with _restarts_asked() as is_asked:
        print("listens", flush=True)
        while True:
            if is_asked():
                print("restarts", flush=True)
except InterruptedByUserError:
    print("ends", flush=True)
"""


def listener(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LISTENER, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_a_terminal_that_hangs_up_is_told_from_somebody_who_asks() -> None:
    master, slave = pty.openpty()
    with listener(os.ttyname(slave)) as process:
        os.close(slave)
        assert process.stdout
        assert process.stdout.readline() == "listens\n"
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == "restarts\n"
        os.close(master)
        assert process.stdout.readline() == "ends\n"


def test_without_a_terminal_it_can_be_asked_again_and_again() -> None:
    with listener() as process:
        assert process.stdout
        assert process.stdout.readline() == "listens\n"
        for _ in range(2):
            process.send_signal(signal.SIGHUP)
            assert process.stdout.readline() == "restarts\n"
        process.kill()
