import fcntl
import logging
import os
import pty
import socket
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.system.logs import QUIET_S, OnceAMinute, SparingLog, Unhurried, let_nobody_keep_us


def test_a_thing_is_said_once_a_minute_and_not_only_once() -> None:
    gate = OnceAMinute()
    times = [1000, 1000.1, 1000 + QUIET_S - 1, 1000 + QUIET_S, 1001 + QUIET_S, 1000 + 2 * QUIET_S]
    assert [gate.lets(at_s) for at_s in times] == [True, False, False, True, False, True]


def test_a_clock_that_is_set_back_silences_nobody() -> None:
    gate = OnceAMinute()
    assert gate.lets(100_000)
    assert gate.lets(50_000)


def test_the_same_text_is_one_thing_whatever_its_details(caplog: pytest.LogCaptureFixture) -> None:
    log = SparingLog(logging.getLogger("tickbench"))
    for number in range(100):
        log.say("no score is kept (%d)", number)
        log.say("a fault", exc_info=ValueError("x"))
    assert [record.getMessage() for record in caplog.records] == ["no score is kept (0)", "a fault"]
    assert "ValueError: x" in caplog.text


Ends = tuple[int, int]  # whose reader does not read, and what is to be written


@pytest.fixture(params=["pipe", "pipe of another user", "socket", "terminal"])
def full(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    """Something that will be full."""
    if request.param == "socket":
        one, other = socket.socketpair()
        reader, writer = one.detach(), other.detach()
    elif request.param == "terminal":
        reader, writer = pty.openpty()
    else:
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 16384)
        if request.param != "pipe":
            monkeypatch.setattr("shared.system.logs._opened_anew", lambda _: None)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def finishes(stream: Unhurried, lines: list[bytes]) -> bool:
    """Whether all is written, or dropped, at once."""
    writing = threading.Thread(target=lambda: [stream.write(line) for line in lines], daemon=True)
    writing.start()
    writing.join(10)
    return not writing.is_alive()


def test_what_nobody_reads_is_dropped_and_that_is_said(full: Ends) -> None:
    reader, writer = full
    stream = Unhurried(writer)
    lines = [b"%06d %s\n" % (number, b"x" * 1000) for number in range(2000)]
    assert finishes(stream, lines)
    os.set_blocking(reader, False)
    read = drain(reader)
    assert read.startswith(lines[0][:100])
    assert len(read) < sum(map(len, lines)) / 2
    assert finishes(stream, [b"the end\n"])
    said = drain(reader)
    assert b"bytes are missing here: nobody read them]" in said
    assert said.endswith(b"the end\n")


def drain(reader: int) -> bytes:
    """Return what there is to be read, without the carriage returns of a terminal."""
    data = b""
    try:
        while piece := os.read(reader, 65536):
            data += piece
    except BlockingIOError:
        pass
    return data.replace(b"\r\n", b"\n")


def test_a_terminal_that_is_held_keeps_nobody() -> None:
    reader, writer = pty.openpty()
    try:
        termios.tcflow(writer, termios.TCOOFF)
        assert finishes(Unhurried(writer), [b"x" * 100 + b"\n"] * 100)
        termios.tcflow(writer, termios.TCOON)
    finally:
        os.close(reader)
        os.close(writer)


def test_others_who_write_to_the_pipe_may_wait_as_before() -> None:
    reader, writer = os.pipe()
    stream = Unhurried(writer)
    stream.write(b"one\n")
    assert os.get_blocking(writer)
    assert os.read(reader, 100) == b"one\n"
    os.close(reader)
    stream.write(b"nobody is there any more\n")
    os.close(writer)


def test_a_file_gets_everything_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        log.write("before\n")
        monkeypatch.setattr(sys, "stderr", log)
        let_nobody_keep_us()
        for number in range(1000):
            sys.stderr.write(f"{number} {'x' * 1000}\n")
        sys.stderr.write("a \udcff and an \u00e4\n")
        os.write(log.fileno(), b"a child\n")
        sys.stderr.write("after\n")
    lines = (tmp_path / "log").read_text("utf-8").splitlines()
    assert lines[:2] == ["before", "0 " + "x" * 1000]
    assert lines[-4:] == ["999 " + "x" * 1000, "a \\udcff and an \u00e4", "a child", "after"]


def test_without_stderr_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    let_nobody_keep_us()
    assert sys.stderr is None
