"""Count the lines of code of each loop design and each framework on each stack."""

import ast
import importlib.util
import io
import tokenize
from pathlib import Path

from shared.loops.modes import MODES

STACKS = ("asyncio", "gevent")

NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def code_lines(source: str) -> int:
    """Count the lines of a module that hold code: no blank ones, no comments, no docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str())) as docstring, *_]:
                    lines.difference_update(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    return len(lines)


def loop_files() -> dict[str, dict[str, Path]]:
    """Return the file of each loop design on each stack, by mode, without importing a backend."""
    files = _files("loops")
    return {mode: files[mode.replace("-", "_")] for mode in MODES}


def framework_files() -> dict[str, dict[str, Path]]:
    """Return the file of each framework, and of what frameworks stand on, by name and stack."""
    return {name.replace("_", "-"): files for name, files in sorted(_files("frameworks").items())}


def mode_lines(backend: str, mode: str) -> int | None:
    """Return the code lines of a loop design on one stack; None for a design or a stack that is not ours."""
    file = loop_files().get(mode, {}).get(backend)
    return None if file is None else code_lines(file.read_text("utf-8"))


def backend_lines(backend: str) -> int:
    """Return the code lines of all files of a backend but its frameworks: one of them serves at a time."""
    files = _folder(backend).rglob("*.py")
    return sum(code_lines(file.read_text("utf-8")) for file in files if file.parent.name != "frameworks")


def _files(part: str) -> dict[str, dict[str, Path]]:
    found: dict[str, dict[str, Path]] = {}
    for stack in STACKS:
        for file in (_folder(stack) / part).glob("[!_]*.py"):
            found.setdefault(file.stem, {})[stack] = file
    return found


def _folder(backend: str) -> Path:
    found = importlib.util.find_spec("backends")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("the package backends is not installed")
    return Path(next(iter(found.submodule_search_locations))) / f"{backend}_server"
