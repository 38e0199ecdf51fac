"""Whatever stands in the folder where one stands, the children are what they are meant to be."""

import subprocess
import sys
from pathlib import Path

import pytest

from tickbench.children.commands import HOME, findable, python_command
from tickbench.children.processes import Nursery

OURS = ("shared", "loadtests", "backends", "numpy")


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    """Make a folder with things that are called as ours are."""
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in OURS:
        (folder / f"{name}.py").write_text("raise RuntimeError('not this one')\n", "utf-8")
    return folder


def test_a_child_takes_no_module_from_where_it_starts(odd_folder: Path, tmp_path: Path) -> None:
    for module in ("backends.asyncio_server", "backends.gevent_server", "loadtests"):
        with Nursery() as nursery:
            command = [*python_command(module), "--help"]
            child = nursery.start("child", command, log=tmp_path / "log", folder=odd_folder)
            assert child.wait(30)
            child.stop(grace_s=0)
        assert child.exit_status == 0, child.log_text()


@pytest.mark.parametrize("arguments", [["serve", "asyncio", "--help"], ["load", "--help"], ["conformance", "--help"]])
def test_nor_does_the_command_line(odd_folder: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "tickbench", *arguments]
    done = subprocess.run(command, cwd=odd_folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_path_that_is_relative_means_the_same_to_a_child_that_starts_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", HOME])
    assert findable({"A": "b"}) == {"A": "b"}
    assert findable({"PYTHONPATH": "more::/most"}) == {"PYTHONPATH": f"{tmp_path}/more:/most"}


def test_what_was_found_where_it_was_started_is_found_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [HOME, "/usr/lib/python3"])
    assert findable({}) == {"PYTHONPATH": HOME}
    assert findable({"PYTHONPATH": "/more"}) == {"PYTHONPATH": f"{HOME}:/more"}


def test_a_folder_that_is_gone_hinders_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert findable({"PYTHONPATH": "more:/most"})["PYTHONPATH"].endswith("more:/most")
