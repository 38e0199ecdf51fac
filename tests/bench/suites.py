"""Has ``tickbench compare`` make suites of a bench, each in a folder of its own, and go on where it was broken off."""

import subprocess
import sys
from pathlib import Path

from tickbench.errors import InputError
from tickbench.report.build import read_document


def make(folder: Path, name: str, text: str) -> bool:
    """Make the suite ``text`` (TOML) in ``folder/name``, or go on with it; return whether it is complete."""
    own = folder / name
    if is_complete(own):
        return True
    suite, latest = folder / f"{name}.toml", own / "latest"
    if latest.exists():
        words = ["--resume", str(latest)]
    else:
        suite.write_text(text, "utf-8")
        words = ["--suite", str(suite), "--out", str(own)]
    done = subprocess.run([sys.executable, "-m", "tickbench", "compare", *words], check=False)
    if done.returncode in {2, 130}:
        sys.exit(done.returncode)
    return is_complete(own)


def is_complete(folder: Path) -> bool:
    try:
        return read_document(folder / "latest").is_complete
    except InputError:
        return False
