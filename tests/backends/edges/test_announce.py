"""What an operator says to a room is shown in every process that has members of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends.edges.conftest import EVERY_RELAY, Start
from tests.support.relays import Relay

ROOT = Path(__file__).parents[3]


def announce(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backends.announce", *words]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=20, check=False)


@EVERY_RELAY
def test_it_is_told_in_all_processes_and_in_no_other_room(start: Start, relay: Relay, backend: str, other: str) -> None:
    owner, edge = start(backend), start(other)
    ann, bob, eve = owner.enter("den", "ann"), edge.enter("den", "bob"), owner.enter("else", "eve")
    done = announce(relay.url, "den", "back at\u200b noon")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for player in (ann, bob):
        assert player.next_personal() == [["announcement", "back at noon"]]
    eve.ping()  # nothing else was for it alone


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["unix:/x", "no room!", "hi"], "a room's name is"),
        (["unix:/x", "den", " "], "an announcement has 1 to 200 characters"),
        (["http://x", "den", "hi"], "a relay is one of"),
        (["memory://x", "den", "hi"], "memory:// is of one process alone"),
        (["unix:/x", "den"], "TEXT"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(words: list[str], complaint: str) -> None:
    done = announce(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr


def test_a_relay_that_is_not_there_is_said_in_a_line(tmp_path: Path) -> None:
    done = announce(f"unix:{tmp_path / 'nobody'}", "den", "hi")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is not there" in done.stderr
