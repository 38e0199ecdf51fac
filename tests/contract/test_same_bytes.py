"""The same seed and the same inputs before the same steps: the same bytes from every server."""

import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import asdict

import pytest

from shared.loops.modes import MODES
from tests.conftest import Arm
from tests.support.client import BINARY, CLOSE, CONTINUATION, PING, TEXT, Frame, client_frame
from tests.support.lockstep import PLAYERS, Lockstep, Outcome, SlippedError
from tests.support.server import RunningServer, run_server

STEPS = int(os.environ.get("TICKBENCH_SAME_STEPS", "200"))

TICK_RATES_HZ = (50, 50, 25, 10)
"""The rate of each attempt. It is in no command but ``tick``, so a busy machine may take more time a step."""

INPUTS = {
    "a fault": client_frame(TEXT, b"[]"),
    "another one": client_frame(TEXT, b'["new_player"]'),
    "not JSON": client_frame(TEXT, b"["),
    "a bad name": client_frame(TEXT, b'["new_player",""]'),
    "three faults": client_frame(TEXT, b"1") * 3,
    "a ping": client_frame(PING, b"x"),
    "binary": client_frame(BINARY, b"x"),
    "a close": client_frame(CLOSE),
    "a close with a reason": client_frame(CLOSE, b"\x0b\xb8bye"),
    "a code that never travels": client_frame(CLOSE, (1006).to_bytes(2)),
    "one byte of a code": client_frame(CLOSE, b"\x03"),
    "invalid UTF-8": client_frame(TEXT, b"\xff"),
    "too much": client_frame(TEXT, declared_length=4097),
    "too much, in fragments": client_frame(TEXT, b"x", fin=False) + client_frame(CONTINUATION, declared_length=4096),
    "an unknown opcode": client_frame(3),
    "a reserved bit": client_frame(TEXT, b"1", reserved=4),
    "a continuation of nothing": client_frame(CONTINUATION, b"1"),
    "too many": client_frame(PING, b"x") * 61,
}


def has_its_own_seed(arm: Arm) -> bool:
    """Say whether its server has a hash seed of its own: one of each backend, as the rest is the same code."""
    return arm.is_plain and arm.mode == MODES[0]


def lockstep_outcome(arm: Arm) -> tuple[Outcome, dict[str, list[str]]]:
    """Return what a game came to, and how each of INPUTS was answered to somebody who was not in it."""
    for rate_hz in TICK_RATES_HZ:
        flags = [*arm.flags, "--seed", "7", "--tick-rate", str(rate_hz), "--tick-budget", "0"]
        with run_server(arm.backend, *flags, cold=has_its_own_seed(arm)) as server:
            try:
                outcome = Lockstep(server, STEPS).run()
            except SlippedError:
                continue
            return outcome, {name: [repr(frame) for frame in answer(server, data)] for name, data in INPUTS.items()}
    raise AssertionError(f"{len(TICK_RATES_HZ)} times an input was late: this machine is too busy for this test")


@pytest.fixture(scope="session")
def first_of_all(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, object], object]:
    """``first_of_all(name, value)``: the first value of that name that any test handed in, in whichever process."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each has a folder of its own below the run's
        folder = folder.parent

    def first(name: str, value: object) -> object:
        with (folder / f"{name}.json").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
            file.seek(0)
            text = file.read()
            if not text:
                file.write(json.dumps(value))
            return json.loads(text) if text else value

    return first


@pytest.mark.framework
@pytest.mark.timeout(120 + STEPS // 4)
def test_a_game_in_lockstep_and_what_one_is_told_before_it(
    arm: Arm, first_of_all: Callable[[str, object], object]
) -> None:
    """The game; and errors and close frames, with their reasons."""
    outcome, answers = lockstep_outcome(arm)
    assert outcome.births > PLAYERS
    assert outcome.deaths > PLAYERS
    assert outcome.scored
    assert outcome.resets
    assert first_of_all(f"lockstep-{STEPS}", asdict(outcome)) == asdict(outcome)
    assert first_of_all("answers", answers) == answers


@pytest.mark.differs("process")  # whose child has the bots; the game above is one in every design
@pytest.mark.parametrize(("bot_steps", "speed"), [(0, 100), (5000, 37)])
def test_a_game_of_bots(arm: Arm, bot_steps: int, speed: int, first_of_all: Callable[[str, object], object]) -> None:
    """Without any input: what a spectator gets from the first birth on."""
    flags = ["--bots", "10", "--seed", "7", "--tick-rate", "100", "--tick-budget", "0"]
    flags += ["--bot-steps", str(bot_steps), "--speed", str(speed)]
    with run_server(arm.backend, *arm.flags, *flags, cold=has_its_own_seed(arm)) as server:
        spectator = server.enter("main")
        told = [spectator.next_tick().text.partition("]")[2] for _ in range(120)]
    assert sum(map(len, told)) > 6_000
    assert first_of_all(f"bots-{bot_steps}", told) == told


def answer(server: RunningServer, data: bytes) -> list[Frame]:
    """Return all frames that answer ``data``; a close is sent behind it, so that there is an end."""
    client = server.connect("main")
    client.send_raw(data + client_frame(CLOSE, (4000).to_bytes(2)))
    frames = [client.receive_frame()]
    while frames[-1].opcode != CLOSE:
        frames.append(client.receive_frame())
    client.hang_up()
    return frames
