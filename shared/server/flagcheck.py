"""
``python -m backends.X_server --check``: checks whether the server would take some command lines, and serves nothing.

A comparison asks before its first run, so that a misspelt setting is not found only after minutes. In: a JSON list of
command lines, each a list of words, in one line of stdin; out: a list of complaints, null where there is none, in one.
"""

import io
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout

from shared.server.config import ServerConfig, parse_arguments

FLAG = "--check"


def run(backend: str, serve: Callable[[ServerConfig], int], *load: Callable[[ServerConfig], object]) -> int:
    """Answer the check, with :func:`answer`, if this program is asked for it, else serve; return the exit status."""
    return answer(backend, *load) if is_check(sys.argv[1:]) else serve(parse_arguments(backend))


def is_check(argv: Sequence[str]) -> bool:
    """Whether these arguments of a program ask for the check."""
    return list(argv) == [FLAG]


def answer(backend: str, *load: Callable[[ServerConfig], object]) -> int:
    """
    Read command lines from stdin, write what is wrong with each to stdout, and return the exit status.

    ``load`` imports what a command line chooses, or exits.
    """
    lines: list[list[str]] = json.loads(sys.stdin.readline())
    complaints = [complaint(backend, line, load) for line in lines]
    sys.stdout.write(json.dumps(complaints) + "\n")
    return 0


def complaint(backend: str, line: Sequence[str], load: Sequence[Callable[[ServerConfig], object]]) -> str | None:
    """Return what is wrong with one command line of a server; None if it would be taken."""
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(io.StringIO()):
            config = parse_arguments(backend, line)
            for part in load:
                part(config)
    except SystemExit as exited:
        return said.getvalue().removeprefix("error: ").strip() if exited.code else f"{' '.join(line)} serves nothing"
    return None
