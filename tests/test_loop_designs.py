"""The essays on the loop designs show the code as it is."""

import re
import textwrap
from pathlib import Path

import pytest

from shared.loops.modes import MODES
from tickbench.report.code_lines import STACKS, code_lines, loop_files

ROOT = Path(__file__).resolve().parent.parent
ESSAYS = ROOT / "docs" / "loop-designs"
EXCERPT = re.compile(r"`(backends/[\w/]+\.py)`\n\n```python\n(.*?)\n```", re.DOTALL)


def dedented(lines: list[str]) -> str:
    return textwrap.dedent("\n".join(lines))


def is_part_of(code: str, source: str) -> bool:
    wanted, lines = code.splitlines(), source.splitlines()
    size = len(wanted)
    return any(dedented(lines[first : first + size]) == code for first in range(len(lines) - size + 1))


def test_each_mode_has_its_essay() -> None:
    assert {path.stem for path in ESSAYS.glob("*.md")} == {*MODES, "README"}


def test_the_lines_are_those_of_the_code() -> None:
    text = (ESSAYS / "README.md").read_text()
    for mode, files in loop_files().items():
        lines = [str(code_lines(files[stack].read_text())) for stack in STACKS]
        assert f"| `{mode}` | {' | '.join(lines)} |" in text


@pytest.mark.parametrize("mode", MODES)
def test_an_essay_shows_both_stacks_as_they_are(mode: str) -> None:
    excerpts = EXCERPT.findall((ESSAYS / f"{mode}.md").read_text())
    file = f"{mode.replace('-', '_')}.py"
    assert [path for path, _ in excerpts] == [
        f"backends/{stack}_server/loops/{file}" for stack in ("asyncio", "gevent")
    ]
    for path, code in excerpts:
        for method in re.split(r"\n\n(?=(?:async )?def )", code):
            assert is_part_of(method, (ROOT / path).read_text()), f"{path} has another\n{method}"
