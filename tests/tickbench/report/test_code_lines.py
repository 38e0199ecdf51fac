import re
from itertools import chain
from pathlib import Path

import pytest

from shared.loops.modes import MODES
from shared.server.frameworks import FRAMEWORKS
from tickbench import cli
from tickbench.report.code_lines import backend_lines, code_lines, framework_files, loop_files, mode_lines

PAGE = Path(__file__).resolve().parents[3] / "docs" / "frameworks.md"

BESIDE = {"asgi", "base", "doorkeeper", "redis-layers", "twisted", "uvicorn"}
"""Files that are no framework."""

MODULE = '''"""What it is for,
in two lines."""

import os  # why


class Thing:
    """A docstring."""

    # A comment.
    text = """a string
    of two lines"""

    def act(self) -> str:
        """Another one."""
        return (
            "no docstring"
        )
'''


def test_only_code_counts() -> None:
    assert code_lines(MODULE) == 1 + 1 + 2 + 1 + 3
    assert code_lines("") == 0


def test_every_mode_has_its_file_on_both_stacks() -> None:
    files = loop_files()
    assert tuple(files) == MODES
    assert all(file.is_file() for by_stack in files.values() for file in by_stack.values())


def test_the_command_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lines"]) == 0
    out = capsys.readouterr().out
    assert all(f" {name} " in out for name in (*MODES, *chain.from_iterable(FRAMEWORKS.values())))


def test_a_framework_on_the_gate_is_short() -> None:
    files = framework_files()
    assert set().union(*FRAMEWORKS.values()) | BESIDE == files.keys()
    assert code_lines(files["starlette"]["asyncio"].read_text("utf-8")) < 200
    frameworks = [file for name, by_stack in files.items() if name not in BESIDE for file in by_stack.values()]
    assert [file for file in frameworks if code_lines(file.read_text("utf-8")) >= 250] == []


def test_the_page_about_frameworks_counts_as_we_do() -> None:
    told = re.findall(r"^\| ([\w-]+) \|.*\| (\d+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    files = {name: next(iter(by_stack.values())) for name, by_stack in framework_files().items()}
    assert told
    assert told == [(name, str(code_lines(files[name].read_text("utf-8")))) for name, _ in told]


def test_a_mode_and_a_whole_backend_are_counted() -> None:
    for backend in ("asyncio", "gevent"):
        lines = mode_lines(backend, "managed")
        assert lines == code_lines(loop_files()["managed"][backend].read_text("utf-8"))
        assert lines is not None
        assert backend_lines(backend) > 10 * lines
    assert mode_lines("mine", "managed") is None
    assert mode_lines("gevent", "none such") is None
