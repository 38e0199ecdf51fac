"""The package as others have it: a wheel, installed into an environment of its own, far from the checkout."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
BUILD_LIMIT_S = 300
"""For a registry that is slow; from uv's cache it takes a few seconds."""
READY_LIMIT_S = 30
STOP_LIMIT_S = 10
NOT_HANDED_DOWN = ("PYTHON", "TICKBENCH_", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "LACKING", "COV_")
"""How variables of this process begin that an installation elsewhere must not see."""


def surroundings() -> dict[str, str]:
    """Return the variables of a process elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(NOT_HANDED_DOWN)}


def uv(*arguments: str) -> str:
    """Run uv as make does; return what it wrote to stdout."""
    program = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
    done = subprocess.run(
        [program, *arguments],
        cwd=ROOT,
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, f"uv {' '.join(arguments)}\n{done.stderr}"
    return done.stdout


class Started(NamedTuple):
    """A server that has said where it listens."""

    process: subprocess.Popen[str]
    ready_line: str

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.ready_line.split()[-1]


class Installation(NamedTuple):
    """An environment with the wheel in it."""

    folder: Path

    @property
    def program(self) -> str:
        """The command ``tickbench``."""
        return str(self.folder / "bin" / "tickbench")

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "bin" / "python")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command from a folder that holds nothing of ours."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=surroundings(),
            capture_output=True,
            text=True,
            timeout=READY_LIMIT_S,
            check=False,
        )

    @contextmanager
    def serving(self, *command: str) -> Iterator[Started]:
        """Run a server for the length of a ``with`` block; it must end with status 0 when it is told to."""
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=surroundings(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout
            line = process.stdout.readline()  # pytest's own limit ends one that says nothing
            assert " listening on http" in line, (line, process.stderr and process.stderr.read())
            yield Started(process, line.strip())
            process.terminate()
            _, said = process.communicate(timeout=STOP_LIMIT_S)
            assert (process.returncode, said) == (0, "")
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout."""
    uv("build", "--quiet", "--wheel", "--out-dir", str(folder))
    (wheel,) = folder.glob("tickbench-*.whl")
    return wheel


def install(wheel: Path, folder: Path, extras: Sequence[str]) -> Installation:
    """Install a wheel with extras, in the versions of the lock file."""
    constraints = folder.with_suffix(".txt")
    lines = uv("export", "--quiet", "--frozen", "--all-extras", "--no-emit-project", "--no-hashes", "--no-annotate")
    constraints.write_text(lines, "utf-8")
    uv("venv", "--quiet", "--python", sys.executable, str(folder))
    installed = Installation(folder)
    extra_names = ",".join(extras)
    wanted = f"tickbench{f'[{extra_names}]' if extras else ''} @ {wheel.as_uri()}"
    uv("pip", "install", "--quiet", "--python", installed.python, "--constraint", str(constraints), wanted)
    return installed
