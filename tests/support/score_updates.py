"""Ten thousand scores, written by four processes at once, of which one is killed in the middle: none may be lost."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack

from shared.rooms.scores import ScoreRows, ScoreStore
from shared.server.score_remote import RemoteScores
from shared.server.score_stores import open_scores
from shared.server.score_url import parse_score_place
from tests.support import score_writer

UPDATES = 2500
WRITERS = 4


def check_updates(place: str) -> None:
    """Have processes write at once, end one of them in the middle, and look for all that was acknowledged."""
    command = [sys.executable, "-m", "tests.support.score_writer", place]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                subprocess.Popen([*command, str(number), str(UPDATES)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            )
            for number in range(WRITERS)
        ]
        for writer in writers:
            stack.callback(writer.kill)
        victim = writers[0].stdout
        assert victim
        told = b""
        while told.count(b"\n") < UPDATES // 2:
            data = os.read(victim.fileno(), 65_536)
            assert data, "it has ended"
            told += data
        writers[0].send_signal(signal.SIGKILL)
        outputs = [writer.communicate(timeout=60) for writer in writers]
    assert not (errors := b"".join(errors for _, errors in outputs)), errors
    acknowledged = [told + outputs[0][0], *(output for output, _ in outputs[1:])]
    counts = [output.count(b"\n") for output in acknowledged]
    assert UPDATES // 2 <= counts[0] < UPDATES, "it was killed in the middle"
    assert counts[1:] == [UPDATES] * (WRITERS - 1)
    wanted: dict[str, set[tuple[str, int]]] = {}
    for number, many in enumerate(counts):
        for update in range(many):
            room, name, score = score_writer.written(number, update)
            wanted.setdefault(room, set()).add((name, score))
    scores = open_scores(parse_score_place(place), max_rooms=5)
    lost = [rows - set(kept) for room, rows in wanted.items() if rows - set(kept := kept_of(scores, room))]
    scores.close()
    assert not lost


def kept_of(scores: ScoreStore, room: str) -> ScoreRows:
    if isinstance(scores, RemoteScores):
        scores.fetch(room)
    return scores.load(room)
