"""A backend says of command lines whether it would take them, and serves nothing."""

import io
import json
import sys

import pytest

from shared.server.config import ServerConfig
from shared.server.flagcheck import answer, complaint, is_check


def take(_: ServerConfig) -> None:
    """Load whatever is chosen."""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["--fanout", "nave"], ["--fanout", "'nave'", "'naive'"]),
        (["--fan", "naive"], ["--fan"]),
        (["--bots", "11"], ["--bots 11", "--max-players 10"]),
        (["--help"], ["serves nothing"]),
    ],
)
def test_what_is_wrong_with_a_command_line_is_said_in_one(line: list[str], words: list[str]) -> None:
    said = complaint("asyncio", line, [take])
    assert said is not None
    assert [word for word in words if word not in said] == []
    assert "\n" not in said
    assert not said.startswith("error")


def test_what_would_be_served_is_not_complained_of() -> None:
    assert complaint("gevent", ["--port", "0", "--fanout", "naive", "--bots", "10"], [take]) is None


def test_an_event_loop_that_is_not_installed_is_said() -> None:
    def lacking(config: ServerConfig) -> None:
        sys.stderr.write(f"error: --loop {config.loop} needs the package uvloop, which is not installed\n")
        sys.exit(2)

    assert complaint("asyncio", ["--loop", "uvloop"], [take, lacking]) == (
        "--loop uvloop needs the package uvloop, which is not installed"
    )


def test_many_are_answered_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert is_check(["--check"])
    assert not is_check(["--port", "0"])
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps([[], ["--bots", "-1"], ["--bots", "1"]])))
    assert answer("asyncio", take) == 0
    first, second, third = json.loads(capsys.readouterr().out)
    assert (first, third) == (None, None)
    assert "--bots" in second
