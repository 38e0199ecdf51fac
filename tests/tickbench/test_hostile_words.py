"""Whatever a server under test calls itself, and whatever it says, a terminal shows it and obeys none of it."""

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tests.support.hostile_server import HOSTILE
from tickbench.markup import escape

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "tests" / "support" / "hostile_server.py"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but for the end of a line, and what turns the direction of text round."""
SHOWN = r"<script>alert(1)</script>[bold red]markup[/bold red] \[/] \x1b]0;title\x07\x1b[2J\x9b31m\u202e"


@pytest.fixture
def url() -> Iterator[str]:
    command = [sys.executable, str(SERVER)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        try:
            yield f"ws://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


def tickbench(*arguments: str | Path) -> str:
    """Return all that the command line says, white space as single blanks."""
    command = [sys.executable, "-m", "tickbench", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert not OBEYED.findall(said)
    return " ".join(said.split())


def test_markup_stays_text_and_control_characters_are_named() -> None:
    said = io.StringIO()
    console = Console(file=said, force_terminal=True, highlight=False, width=1000)
    console.print(escape(HOSTILE), soft_wrap=True)
    assert SHOWN in said.getvalue()
    assert "\x1b" not in said.getvalue()


def test_a_load_run_shows_what_a_server_says_and_keeps_little_of_it(url: str, tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    said = tickbench("load", url, "--users", "2", "--duration", "1", "--warm-up", "0.3", "--out", summary)
    assert f"of errors: 104 x others, 2 x {SHOWN} second line" in said
    assert f"group {SHOWN} second line)" in said, "whose CPU quota held it back"
    assert len(said) < 10_000
    assert summary.stat().st_size < 100_000


def test_a_conformance_run_shows_what_a_server_says_in_one_line_each(url: str) -> None:
    said = tickbench("conformance", url, "--only", "unknown-path", "--only", "method")
    assert f"GET /nowhere: HTTP 200 {SHOWN} second line" in said
