"""What is fetched to build and to run this is known before: by version, and by hash where it is the first to come."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PINNED = (ROOT / "requirements-uv.txt").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
HASH = re.compile(r"sha256:[0-9a-f]{64}")
OF_MAKE = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON", "VENV"}
"""What the make that runs the tests hands down to another."""


def name_of(requirement: str) -> str:
    found = re.match(r"[\w-]+", requirement)
    assert found, requirement
    return found.group()


def uv_version() -> str:
    (version,) = re.findall(r"^uv==(\d+\.\d+\.\d+) \\$", PINNED, re.MULTILINE)
    return str(version)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with what make reads, in which nothing is set up."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("Makefile", "requirements-uv.txt", "pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, folder)
    return folder


def make(checkout: Path, *arguments: str, uv: str) -> subprocess.CompletedProcess[str]:
    """Run make where ``uv``, a shell script, is what is first on the PATH by that name."""
    programs = checkout.parent / "bin"
    programs.mkdir()
    (programs / "uv").write_text(f"#!/bin/sh\n{uv}\n", "utf-8")
    (programs / "uv").chmod(0o755)
    mine = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    environment = {**mine, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_uv_is_fetched_by_version_and_by_hash() -> None:
    required = [line for line in PINNED.splitlines() if line[:1].isalpha()]
    assert required == [f"uv=={uv_version()} \\"]
    assert len(HASH.findall(PINNED)) > 10, "a wheel each for the usual machines"
    fetched = [line for line in (ROOT / "Makefile").read_text("utf-8").splitlines() if "pip install" in line]
    assert fetched
    assert all("--only-binary :all: --require-hashes -r $(PINNED)" in line for line in fetched)


def test_make_takes_the_uv_of_the_path_where_it_is_the_pinned_one(checkout: Path) -> None:
    done = make(checkout, "-n", "setup", uv=f"echo uv {uv_version()} '(x86_64)'")
    assert f"{checkout.parent}/bin/uv sync --frozen" in done.stdout, done.stderr
    assert "pip install" not in done.stdout


def test_make_fetches_its_own_uv_where_that_of_the_path_is_another(checkout: Path) -> None:
    done = make(checkout, "-n", "setup", uv="echo uv 0.1.0")
    assert "\n.uv/bin/uv sync --frozen" in done.stdout, done.stderr
    assert "--require-hashes -r requirements-uv.txt" in done.stdout


def test_make_fetches_uv_anew_when_another_is_pinned(checkout: Path) -> None:
    (checkout / ".uv" / "bin").mkdir(parents=True)
    (checkout / ".uv" / "bin" / "uv").touch()
    os.utime(checkout / ".uv" / "bin" / "uv", (0, 0))
    assert "rm -rf .uv\n" in make(checkout, "-n", "setup", uv="exit 1").stdout


def test_lint_fails_in_one_line_where_the_lock_file_is_not_that_of_pyproject(checkout: Path) -> None:
    uv = f"""
case "$*" in
    *--version*) echo "uv {uv_version()}";;
    sync*) mkdir -p .venv;;
    *"lock "*--check*) echo "needs to be updated" >&2; exit 1;;
    *) echo "went on with $*";;
esac"""
    done = make(checkout, "lint", uv=uv)
    assert done.returncode == 2
    assert "error: uv.lock is not that of pyproject.toml; 'uv lock' would bring it up to date\n" in done.stderr
    assert "went on" not in done.stdout


def test_what_builds_the_package_is_pinned_by_version_and_by_hash() -> None:
    pins = PROJECT["tool"]["uv"]["build-constraint-dependencies"]
    assert {name_of(each) for each in PROJECT["build-system"]["requires"]} <= {
        name_of(each["requirement"]) for each in pins
    }
    for each in pins:
        assert re.fullmatch(r"[\w-]+==[\d.]+", each["requirement"]), each
        assert each["hashes"], each
        assert all(HASH.fullmatch(digest) for digest in each["hashes"]), each
    # What is not named there is refused, so that the list is whole: it is what every setup from an empty cache shows.
    assert "\nexport UV_REQUIRE_BUILD_HASHES := 1\n" in (ROOT / "Makefile").read_text("utf-8")
