"""Suites of a bench are made once, and one that was broken off is gone on with."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from tests.bench import suites


def test_what_is_complete_is_not_made_again_and_what_was_broken_off_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete: set[str] = {"first"}
    ran: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        ran.append(command[4:])
        complete.update({2: ["second"], 3: ["third"]}.get(len(ran), []))
        return argparse.Namespace(returncode=0)

    monkeypatch.setattr(suites, "is_complete", lambda folder: folder.name in complete)
    monkeypatch.setattr("subprocess.run", run)
    (tmp_path / "second" / "latest").mkdir(parents=True)
    assert suites.make(tmp_path, "first", "")
    assert ran == []
    assert not suites.make(tmp_path, "second", "")
    assert suites.make(tmp_path, "second", "")
    assert ran == [["--resume", str(tmp_path / "second" / "latest")]] * 2
    assert suites.make(tmp_path, "third", "its text")
    assert ran[2] == ["--suite", str(tmp_path / "third.toml"), "--out", str(tmp_path / "third")]
    assert (tmp_path / "third.toml").read_text() == "its text"


def test_a_bench_ends_with_the_status_of_an_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: argparse.Namespace(returncode=130))
    with pytest.raises(SystemExit) as ended:
        suites.make(tmp_path, "first", "")
    assert ended.value.code == 130
