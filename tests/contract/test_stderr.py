"""Nobody has to read what a server logs: a pipe that is full keeps no tick."""

import fcntl
import os
from pathlib import Path

import pytest

from tests.conftest import Arm
from tests.support.server import run_server

pytestmark = pytest.mark.differs("process")

PIPE_BYTES = 4096


def test_a_log_that_nobody_reads_keeps_nobody(arm: Arm, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    flags = (*arm.flags, "--tick-rate", "50", "--tick-budget", "0")
    try:
        with run_server(arm.backend, *flags, faulty=True, logs=True, stderr=pipe) as server:
            player = server.enter("main")
            for _ in range(8):  # a traceback of more than a kilobyte each
                victim = server.enter("crash")
                victim.send(["join"])
                assert victim.expect_close() == 1011
            for _ in range(5):
                player.next_tick()
            assert server.stats()["crashed_rooms"] == 8
            log = os.read(reader, PIPE_BYTES)
            assert b"RuntimeError: a planted fault" in log, "what was taken is whole"
            victim = server.enter("crash")
            victim.send(["join"])
            assert victim.expect_close() == 1011
            later = os.read(reader, PIPE_BYTES)
            assert b"bytes are missing here" in later
            assert later.endswith(b"RuntimeError: a planted fault\n"), later
    finally:
        os.close(reader)
