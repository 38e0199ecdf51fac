"""How servers read is timed: real ones, with few messages, and one whose cost is planted. Of the times nothing else."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tickbench import cli
from tickbench.bench.arms import BARE, PEER, read_commands
from tickbench.bench.knocks import ANSWER, ANSWER_TEXT, KNOCK, MASK, PING, client_frame, server_frames
from tickbench.bench.read import LOADS, measure_read
from tickbench.bench.talkers import ReadBlock, Talker
from tickbench.children.commands import python_command
from tickbench.errors import RunFailedError
from tickbench.machine.pinning import Pinning

ANYWHERE = Pinning(None, None)
FEW = {
    "alone": ReadBlock(rate_hz=200, at_once=1, burst=1, seconds=0.1),
    "together": ReadBlock(rate_hz=400, at_once=4, burst=2, seconds=0.1),
}
WORK_MS = 3


@pytest.fixture(autouse=True)
def _few_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickbench.bench.read.CONNECTIONS", 4)
    for load, block in FEW.items():
        monkeypatch.setitem(LOADS, load, block)


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_slow_handler_is_found(tmp_path: Path) -> None:
    commands = {**read_commands(), "slow": [*python_command("tests.support.slow_bare"), str(WORK_MS)]}
    commands = {arm: commands[arm] for arm in (BARE, PEER, "slow")}
    steps: list[None] = []
    figures = measure_read(ANYWHERE, tmp_path, commands, 3, lambda: steps.append(None))
    assert len(steps) == 9
    found = {(figure.arm, figure.load): figure for figure in figures}
    for load, block in FEW.items():
        bare, slow = found[BARE, load], found["slow", load]
        assert slow.cost_us.low >= WORK_MS * 1000
        assert slow.answered_us.low >= WORK_MS * 1000 * block.burst, "the last answer of a packet"
        assert bare.cost_us.high < WORK_MS * 1000
        assert slow.cost_to_bare is not None
        assert slow.cost_to_bare.low > 1
        assert slow.cost_to_peer is not None
        assert slow.cost_to_peer.low > 1
        assert slow.per_second <= 1000 / WORK_MS
        assert (bare.cost_to_bare, bare.cost_to_peer) == (None, None)
        assert found[PEER, load].cost_to_peer is None
        assert len(slow.cpu_us) == len(slow.latency_us) == 3


def test_frameworks_read_beside_the_bare_call(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    raw, page = tmp_path / "bench.json", tmp_path / "bench.md"
    chosen = ["--framework", "starlette", "--framework", "gevent-websocket"]
    files = ["--json", str(raw), "--markdown", str(page)]
    assert cli.main(["bench", "read", *chosen, "--repeats", "2", *files]) == 0
    report = json.loads(raw.read_text())
    assert report["schema"] == "tickbench.bench/4"
    names = ("asyncio:framework=starlette", "gevent:framework=gevent-websocket")
    arms = [BARE, PEER, *(f"{name}{more}" for name in names for more in ("", ",fanout=naive"))]
    assert [(figure["arm"], figure["load"]) for figure in report["read"]] == [
        (arm, load) for load in FEW for arm in arms
    ]
    for figure in report["read"]:
        assert len(figure["cpu_us"]) == len(figure["latency_us"]) == 2
        assert min(figure["cpu_us"] + figure["latency_us"]) > 0
        assert (figure["cost_to_bare"] is None) == (figure["arm"] == BARE)
        assert (figure["answered_to_peer"] is None) == (figure["arm"] in (BARE, PEER))
    assert "from message to answer" in capfd.readouterr().out
    assert page.read_text().count(f"| {names[0]},fanout=naive |") == 4


def test_a_server_that_does_not_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match="the server of nowhere has ended"):
        measure_read(ANYWHERE, tmp_path, {"nowhere": python_command("backends.nowhere")}, 2, lambda: None)


def test_answers_are_counted_wherever_a_read_ends() -> None:
    received = bytearray()
    found: list[tuple[int, bytes]] = []
    longer = bytes((0x81, 126)) + (300).to_bytes(2) + b"x" * 300
    longest = bytes((0x82, 127)) + (70_000).to_bytes(8) + b"y" * 70_000
    for byte in ANSWER + longer + ANSWER + longest:
        received.append(byte)
        found += server_frames(received)
    assert found == [(0x81, ANSWER_TEXT), (0x81, b"x" * 300), (0x81, ANSWER_TEXT), (0x82, b"y" * 70_000)]
    assert not received


def test_a_message_is_masked() -> None:
    payload = bytes(byte ^ MASK[place % 4] for place, byte in enumerate(KNOCK[6:]))
    assert KNOCK[:2] == bytes((0x81, 0x80 | len(payload)))
    assert (KNOCK[2:6], payload) == (MASK, b'["ping",1000001]')


def test_pings_are_answered_and_are_no_answer_and_a_lost_server_is_told() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        talker, buffer = Talker(ours), bytearray(1000)
        began_ns = time.time_ns()
        theirs.send(bytes((PING, 4)) + b"life" + ANSWER * 2 + ANSWER[:5])
        answers, came_ns = talker.hear(buffer)
        assert answers == 2
        assert began_ns <= came_ns <= time.time_ns()
        assert theirs.recv(100) == client_frame(0x8A, b"life")
        theirs.send(ANSWER[5:])
        assert talker.hear(buffer)[0] == 1
        theirs.close()
        with pytest.raises(ConnectionResetError, match="hung up"):
            talker.hear(buffer)
