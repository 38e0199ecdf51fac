"""What the documents name exists: verbs, flags, make's targets, files and the places that links lead to."""

import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout, suppress
from functools import cache
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from shared.server import flagcheck
from shared.server.config import parse_arguments
from tickbench.arms import BACKENDS
from tickbench.cli import VERBS, tickbench
from tickbench.compare.plan import estimate_s
from tickbench.compare.runs import RunIndex
from tickbench.compare.suite import load_suite, suite_names

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
"""A block; those without a language are what is typed."""
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(tickbench|locust|make|python -m [\w.]+)( |$)")
FILE = re.compile(r"(backends|docs|loadtests|shared|tests|tickbench)/[\w./-]+\.(py|md|toml|json|png)")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def commands(text: str) -> list[list[str]]:
    """Return the words of each command that a document shows, comments apart."""
    lines = [line for language, block in FENCED.findall(text) if not language for line in block.splitlines()]
    spans = [" ".join(span.split()) for span in SPAN.findall(FENCED.sub("", text))]
    return [shlex.split(line, comments=True) for line in [*lines, *spans] if COMMAND.match(line)]


@cache
def help_of(module: str) -> str:
    command = [sys.executable, "-m", module, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=ROOT).stdout


@cache
def help_of_server(backend: str) -> str:
    with suppress(SystemExit), redirect_stdout(StringIO()) as said:
        parse_arguments(backend, ["--help"])
    return said.getvalue()


@cache
def help_of_verb(*verb: str) -> str:
    return CliRunner().invoke(tickbench, [*verb, "--help"]).output


def flags_of(words: list[str]) -> set[str]:
    """Return the flags that the program of a command has."""
    match words:
        case ["tickbench", "serve", backend, *_] if backend in BACKENDS:
            said = help_of_server(backend)
        case ["tickbench", "cluster", backend, *_] if backend in BACKENDS:
            said = help_of_verb("cluster") + help_of_server(backend)
        case ["tickbench", verb, *_] if verb in VERBS:
            said = help_of_verb(verb)
        case ["tickbench", *_]:
            said = help_of_verb()
        case ["locust", *_]:
            # Locust's help does not list what a locustfile adds.
            said = help_of("locust") + (ROOT / "loadtests" / "options.py").read_text("utf-8")
        case ["python", "-m", module, *_]:
            # Programs ask a backend for its check, so that its help has no line on it.
            said = help_of(module) + (f" {flagcheck.FLAG}" if module in BACKENDS.values() else "")
        case _:
            said = ""
    return {*re.findall(r"(?<![\w-])--?[a-z][a-z-]*", said), "--help"}


@pytest.mark.xdist_group("documents")  # which ask the same programs for their help
@each_document
def test_every_command_that_is_shown_exists_with_its_flags(document: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for words in commands(document.read_text("utf-8")):
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= set(targets), words
            continue
        if words[0] == "tickbench" and len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in VERBS, words
        given = {word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)} - {"-m"}
        assert given <= flags_of(words), words


@each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text("utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}, link


@each_document
def test_every_file_that_is_named_is_there(document: Path) -> None:
    for span in SPAN.findall(FENCED.sub("", document.read_text("utf-8"))):
        if FILE.fullmatch(span):
            assert (ROOT / span).is_file(), span


def test_no_way_through_the_code_leads_through_more_than_16_files() -> None:
    """And what is named is there; ``*`` stands for each backend."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    ways = re.findall(r"^\*\*(From a .+?)\*\*(.+?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert len(ways) == 4
    for title, way in ways:
        files = {span for span in SPAN.findall(way) if span.endswith((".py", ".js"))}
        assert 1 < len(files) <= 16, f"{title}: {len(files)}"
        for file in files:
            there = [file.replace("*", f"{backend}_server") for backend in ("asyncio", "gevent")]
            assert all((ROOT / path).is_file() for path in there), file


def test_suites_take_about_as_long_as_it_says() -> None:
    text = (ROOT / "docs" / "comparing.md").read_text("utf-8")
    said = dict(re.findall(r"^\| `(\w+)` \|[^|]+\| ([^|]+) \|$", text, re.MULTILINE))
    assert set(said) >= set(suite_names())
    for name in suite_names():
        parts = re.findall(r"(\d+) (h|min|s)\b", said[name])
        seconds = sum(int(number) * {"h": 3600, "min": 60, "s": 1}[unit] for number, unit in parts)
        assert seconds == pytest.approx(estimate_s(RunIndex(load_suite(name))), rel=0.1), name


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_bounds_a_peer_is_bounded_by_flags_that_there_are(backend: str) -> None:
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    named = set(re.findall(r"`(--[a-z-]+)[ `]", text))
    assert named
    assert named <= flags_of(["tickbench", "serve", backend])
