"""What the report quotes beyond the numbers is in docs/frameworks.md, which names packages and tests that there are."""

import ast
import html
import re
import tomllib
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import pytest

from shared.server.frameworks import FRAMEWORKS
from tests.support.framework_facts import facts_text
from tickbench.report.code_lines import code_lines, framework_files
from tickbench.report.framework_facts import FILE, all_facts
from tickbench.report.practice import RELEASE

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "frameworks.md").read_text("utf-8")
TEMPLATE = (ROOT / "tickbench" / "report" / "page.html.j2").read_text("utf-8")
STACKS = ("asyncio", "gevent")
LINK = re.compile(r"\]\((https://[^)]+)\)")
SOURCED = re.compile(r"\(\[source\]\(https://[^)]+\), (\d{4}-\d\d-\d\d)\)")
FAULT = re.compile(r"^\| ([\w-]+) [\d.]+ \| .*? \| `([^`]+)` \| `([^`]+)` \|$", re.MULTILINE)
QUOTED = re.compile(r"<li>(?:<strong>(.+)</strong>: )?(.+)</li>")


def section(title: str) -> str:
    """Return what stands below a title of the page, up to the next one."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def entries(stack: str) -> list[str]:
    """Return the lines of a stack in which something is said."""
    titles = ("what it is built on", "faults of libraries that we mended", "what blocks, and how one finds out")
    return [line for title in titles for line in section(f"{stack}: {title}").splitlines() if "source" in line]


def quotes(stack: str) -> list[tuple[str, str]]:
    """Return what the report quotes of a stack: the library, where one is named, and the sentence."""
    shown = TEMPLATE.partition('<h2 id="beyond">')[2].partition("<h2")[0].partition(f'aria-label="{stack}"')[2]
    return QUOTED.findall(html.unescape(shown.partition("</section>")[0]))


@cache
def functions(path: str) -> set[str]:
    """Return the names of a module's own functions, without importing it."""
    body = ast.parse((ROOT / path).read_text()).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("stack", STACKS)
def test_the_report_quotes_the_page(stack: str) -> None:
    *sentences, (_, mended) = quotes(stack)
    assert len(sentences) == 3
    for library, sentence in sentences:
        assert [line for line in entries(stack) if library in line and sentence in line], sentence
    faults = len(FAULT.findall(section(f"{stack}: faults of libraries that we mended")))
    assert mended == f'{{{{ known.stacks["{stack}"].faults }}}} faults of libraries that we mended, each with its test.'
    assert all_facts().stacks[stack].faults == faults


def test_the_data_file_is_what_the_page_says() -> None:
    assert FILE.read_text("utf-8") == facts_text(), "make facts"


@pytest.mark.parametrize("stack", STACKS)
def test_each_framework_has_a_row_that_the_report_can_read(stack: str) -> None:
    found = all_facts().stacks[stack].frameworks
    assert list(found) == list(FRAMEWORKS[stack])
    for name, known in found.items():
        assert RELEASE.fullmatch(known.released), name
        assert all((known.python, known.free_threads, known.naive, known.in_force)), name
        assert known.mended, f"{name}: there is none without a fault, or its own are not found"
        written = section(f"{stack}: the frameworks side by side").partition(f"\n| {name} |")[2].partition("\n")[0]
        lines = code_lines(framework_files()[name][stack].read_text("utf-8"))
        assert written.rstrip("| ").rpartition("| ")[2] == str(lines), f"code lines of {name}"


@pytest.mark.parametrize("stack", STACKS)
def test_a_package_is_one_of_the_lock(stack: str) -> None:
    locked = {package["name"] for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    packages = re.findall(r"^\| \[([\w-]+)\]", section(f"{stack}: what it is built on"), re.MULTILINE)
    assert len(packages) == len(set(packages)) > 5
    assert set(packages) <= locked
    libraries = {library for library, _, _ in FAULT.findall(section(f"{stack}: faults of libraries that we mended"))}
    assert libraries <= {*packages, "asyncio"}, "asyncio comes with Python"


@pytest.mark.parametrize("stack", STACKS)
def test_a_fault_is_mended_and_tested(stack: str) -> None:
    table = section(f"{stack}: faults of libraries that we mended")
    faults = FAULT.findall(table)
    assert len(faults) == table.count("\n| ") - 1, "each row has its file and its test"
    (other,) = set(STACKS) - {stack}
    for _, mended_in, test in faults:
        assert (ROOT / mended_in).is_file(), mended_in
        assert f"backends/{other}_server" not in mended_in
        path, _, function = test.partition("::")
        assert function in functions(path), test


@pytest.mark.parametrize("stack", STACKS)
def test_every_sentence_has_a_source_with_a_date_that_has_come(stack: str) -> None:
    today = datetime.now(UTC).date()
    for line in entries(stack):
        dates = SOURCED.findall(line)
        cells = line.count(" | ") + 1 if "::" not in line else 1
        assert len(dates) == cells, line
        assert all(date(2017, 1, 1) <= date.fromisoformat(day) <= today for day in dates), line


def test_a_link_into_a_repository_is_a_permanent_one() -> None:
    for link in LINK.findall(PAGE):
        if link.startswith("https://github.com/"):
            assert re.match(r"https://github\.com/[\w.-]+/[\w.-]+/(blob|commit)/[0-9a-f]{40}\b", link), link
