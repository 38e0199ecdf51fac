"""
The shape of the house: the two backends side by side, and nothing in ``shared`` that is not pure.

Read from the source, never imported: a monkey-patched interpreter and an asyncio one never share a process.
"""

import ast
from pathlib import Path

import pytest

from shared.loops.modes import LOOP_CLASSES, module_of
from shared.server.frameworks import FANOUTS

ROOT = Path(__file__).resolve().parent.parent
ASYNCIO, GEVENT = ROOT / "backends" / "asyncio_server", ROOT / "backends" / "gevent_server"

ASYNCIO_ONLY = {
    "host.py": {
        "PlayerSocket.is_lost": "a transport closes its descriptor by itself; a gevent socket when we do",
        "PlayerSocket.tell": "a transport tells when the kernel does not take all; a gevent socket waits",
        "PlayerSocket.has_ended": "a transport reads on while nobody receives; a gevent socket does not",
    },
    "turns.py": {
        "MOST_EVENTS": "asyncio takes as many events at once as there are; libev has no such setting",
        "new_event_loop": "as MOST_EVENTS",
        "MOST_WOKEN": "a task that is woken goes on in the next turn; a greenlet is switched to",
        "Turns.call": "a protocol is called, and can't wait",
    },
    "writer.py": {
        "SocketPipe.is_lost": "a transport closes its descriptor by itself, a gevent socket is ours",
        "SocketPipe.pause_writing": "a transport tells when the kernel does not take all; a gevent socket waits",
        "SocketPipe.resume_writing": "as pause_writing",
        "SocketPipe.connection_lost": "as is_lost",
    },
}
GEVENT_ONLY = {
    "host.py": {
        "PlayerSocket.hang_up": "a transport closes itself behind what it holds; a gevent socket when it is told to",
        "Writer.awaits_turn": "on asyncio whoever sends does it; a greenlet that is to do it has to be switched to",
    },
    "loops/condition.py": {
        "HANDLE_US": "whoever waits for a message or a tick is another greenlet than the one that has the turn",
        "read": "what a greenlet raises is printed, so it is handed over as what it returns; a task keeps it",
    },
    "loops/thread.py": {
        "Lock": "the patched one would wait on a hub of the thread's own",
        "start_new_thread": "as Lock",
    },
    "server.py": {
        "NETWORK_AT_ONCE": "asyncio's threads are bounded by their pool, greenlets by nothing",
    },
    "turns.py": {
        "Turns.open": "a hub is watched to see when it has looked at its sockets; asyncio calls back when it has",
        "Turns.close": "as open",
    },
    "writer.py": {
        "ABORT_LIMIT_S": "an aborted transport wakes who waits for it; a gevent socket must stay open until they woke",
        "LibraryWriter.awaits_turn": "as Writer in host.py",
    },
}
"""Public names that only one of the two files has, and why."""


def files_of(backend: Path) -> list[str]:
    """Return the files of a backend, those of its frameworks apart."""
    paths = [path.relative_to(backend) for path in backend.rglob("*.py")]
    return sorted(str(path) for path in paths if path.parts[0] != "frameworks")


FILES = files_of(ASYNCIO)


def top_level_names(node: ast.stmt) -> list[str]:
    """Return the names that a statement of a module binds, methods as ``Class.method``."""
    match node:
        case ast.ClassDef(name=name, body=body):
            methods = (item.name for item in body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef))
            return [name, *(f"{name}.{method}" for method in methods)]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def names(path: Path) -> list[str]:
    return [name for node in ast.parse(path.read_text()).body for name in top_level_names(node)]


def one_sided(path: Path, other: Path) -> set[str]:
    """Return the public names that only ``path`` has; a class stands for its methods."""
    theirs = set(names(other))
    mine = [name for name in names(path) if name not in theirs and "._" not in name and not name.startswith("_")]
    return {name for name in mine if name.partition(".")[0] == name or name.partition(".")[0] not in mine}


def test_both_backends_have_the_same_files() -> None:
    assert files_of(GEVENT) == FILES


@pytest.mark.parametrize("file", FILES)
def test_what_both_files_have_comes_in_the_same_order(file: str) -> None:
    ours, theirs = names(ASYNCIO / file), names(GEVENT / file)
    assert [name for name in ours if name in theirs] == [name for name in theirs if name in ours]


@pytest.mark.parametrize("file", FILES)
def test_what_only_one_file_has_is_listed_with_its_reason(file: str) -> None:
    assert one_sided(ASYNCIO / file, GEVENT / file) == set(ASYNCIO_ONLY.get(file, ()))
    assert one_sided(GEVENT / file, ASYNCIO / file) == set(GEVENT_ONLY.get(file, ()))


def table_keys(path: Path, table: str) -> list[str]:
    """Return the keys of a dict literal at the top of a module."""
    for node in ast.parse(path.read_text()).body:
        if top_level_names(node) == [table] and isinstance(node, ast.Assign | ast.AnnAssign):
            assert isinstance(node.value, ast.Dict)
            return [ast.literal_eval(key) for key in node.value.keys if key is not None]
    raise AssertionError(f"no {table} in {path}")


@pytest.mark.parametrize("backend", [ASYNCIO, GEVENT], ids=lambda path: path.name)
def test_every_mode_and_every_fan_out_of_the_command_line_exists(backend: Path) -> None:
    for mode, loop_class in LOOP_CLASSES.items():
        assert loop_class in names(backend / "loops" / f"{module_of(mode)}.py")
    assert sorted(table_keys(backend / "fanout.py", "FANOUTS")) == sorted(FANOUTS)


IMPURE = {"asyncio", "datetime", "gevent", "select", "signal", "socket", "subprocess", "threading", "time"}
TOOLS = {"bench.py"}
"""Programs of their own, which measure what is pure."""

SHARED = sorted(path for path in (ROOT / "shared").rglob("*.py") if path.name not in TOOLS)
PURE = [path for path in SHARED if ROOT / "shared" / "system" not in path.parents]


def imported(path: Path) -> set[str]:
    """Return the modules that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_shared_waits_for_nothing_and_reads_no_clock(path: Path) -> None:
    assert imported(path) & IMPURE == set()


@pytest.mark.parametrize("path", SHARED, ids=lambda path: str(path.relative_to(ROOT)))
def test_shared_belongs_to_neither_backend(path: Path) -> None:
    assert imported(path) & {"asyncio", "gevent"} == set()


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_shared_draws_only_from_the_luck_that_is_handed_in(path: Path) -> None:
    drawn = [
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random"
    ]
    assert set(drawn) <= {"Random"}


PACKAGES = ("shared", "backends", "loadtests", "tickbench")
MOST_BESIDE_ROOMS = {"loadtests": 6, "tickbench": 8}
"""Files that may lie beside the rooms of a house: what a stranger has to look at before he goes in."""


@pytest.mark.parametrize("package", PACKAGES)
def test_what_the_kernel_tells_of_a_machine_is_asked_in_one_place(package: str) -> None:
    """Boot id, limits, calls that Python has no name for."""
    for path in (ROOT / package).rglob("*.py"):
        if ROOT / "shared" / "system" not in path.parents:
            assert imported(path) & {"ctypes", "resource"} == set(), path
            assert "/proc/sys/kernel/random" not in path.read_text("utf-8"), path


def dotted(path: Path) -> str:
    """Return the name that a file is imported by."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path, modules: dict[str, Path]) -> set[str]:
    """Return which of ``modules`` a file imports, anywhere in it, for its types alone as well."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = dotted(path).split(".")[: None if path.name == "__init__.py" and node.level == 1 else -node.level]
            base = ".".join([*(home if node.level else []), *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                names.add(inner if inner in modules else base)
    return names & modules.keys()


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Return the names that can be reached from themselves: take away, again and again, who leads nowhere."""
    left = {name: set(leads_to) for name, leads_to in graph.items()}
    while over := {name for name, leads_to in left.items() if not leads_to & left.keys()}:
        left = {name: leads_to for name, leads_to in left.items() if name not in over}
    return sorted(left)


def test_nothing_imports_in_a_circle() -> None:
    modules = {dotted(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert circles({name: imports_of(path, modules) for name, path in modules.items()}) == []


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


@pytest.mark.parametrize("package", MOST_BESIDE_ROOMS)
def test_few_files_lie_beside_the_rooms(package: str) -> None:
    beside = [path.name for path in (ROOT / package).glob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    assert len(beside) <= MOST_BESIDE_ROOMS[package], beside


def test_every_module_of_shared_has_its_tests() -> None:
    tests = ROOT / "tests" / "shared"
    bare = {"game/commands.py", "measure/process.py"}  # records without behaviour, used in every test beside them
    for path in sorted((ROOT / "shared").rglob("*.py")):
        module = path.relative_to(ROOT / "shared")
        if path.name != "__init__.py" and str(module) not in bare:
            assert (tests / module.with_name(f"test_{module.name}")).is_file(), module
