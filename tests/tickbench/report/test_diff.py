import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tickbench.report.build import build_report

Tickbench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def other(folder: Path, tmp_path: Path) -> Path:
    """Copy a folder that has its reports."""
    build_report(folder)
    copy = tmp_path / "other"
    copy.mkdir()
    (copy / "results.json").write_bytes((folder / "results.json").read_bytes())
    return copy


def change(folder: Path, old: str, new: str) -> None:
    text = (folder / "results.json").read_text("utf-8")
    assert old in text
    (folder / "results.json").write_text(text.replace(old, new), "utf-8")


def test_two_folders_are_set_beside_each_other(tickbench: Tickbench, folder: Path, other: Path) -> None:
    done = tickbench("diff", folder, other, COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert "asyncio:fanout=naive" in done.stdout
    assert "tick lateness p50, ms" in done.stdout
    assert "not significant" in done.stdout
    assert "differs" not in done.stdout


def test_other_versions_are_said(tickbench: Tickbench, folder: Path, other: Path) -> None:
    version = json.loads((folder / "results.json").read_text("utf-8"))["environment"]["packages"]["aiohttp"]
    change(other, f'"aiohttp": "{version}"', '"aiohttp": "9.9.9"')
    done = tickbench("diff", folder, other)
    assert done.returncode == 0, done.stderr
    assert f"aiohttp: {version} -> 9.9.9" in done.stdout


def test_another_machine_is_refused_unless_told(tickbench: Tickbench, folder: Path, other: Path) -> None:
    change(other, '"cpu_model": "', '"cpu_model": "Another ')
    done = tickbench("diff", folder, other)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "processor" in done.stderr
    assert "--different-machines" in done.stderr
    told = tickbench("diff", folder, other, "--different-machines")
    assert told.returncode == 0, told.stderr
    assert "processor: " in told.stdout


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda text: text[:500], "damaged"),
        (lambda text: text.replace("tickbench.results/1", "tickbench.results/2"), "tickbench.results/2"),
        (lambda text: text.replace('"runs": [', '"runs": 7, "x": ['), "damaged"),
        (lambda _: "", "damaged"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(
    tickbench: Tickbench, folder: Path, other: Path, damage: Callable[[str], str], complaint: str
) -> None:
    file = other / "results.json"
    file.write_text(damage(file.read_text("utf-8")), "utf-8")
    done = tickbench("diff", folder, other)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert complaint in done.stderr


def test_a_folder_without_results_is_refused(tickbench: Tickbench, folder: Path, tmp_path: Path) -> None:
    build_report(folder)
    done = tickbench("diff", folder, tmp_path / "nowhere")
    assert done.returncode == 2
    assert "has no results.json" in done.stderr


def test_where_there_is_nothing_to_compare_it_says_so(tickbench: Tickbench, folder: Path, other: Path) -> None:
    record = json.loads((other / "results.json").read_text("utf-8"))
    for run in record["runs"]:
        run |= {"mark": "doubtful", "trusted": []}
    (other / "results.json").write_text(json.dumps(record), "utf-8")
    done = tickbench("diff", folder, other)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: nothing to compare: no arm has a figure that can be trusted")


def test_a_folder_beside_itself_is_nothing_to_compare(tickbench: Tickbench, folder: Path, tmp_path: Path) -> None:
    build_report(folder)
    (tmp_path / "link").symlink_to(folder)
    done = tickbench("diff", folder, tmp_path / "link")
    assert done.returncode == 2
    assert "nothing to compare: " in done.stderr
