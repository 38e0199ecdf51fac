"""
Says which load test this is, so that master and workers on several hosts can tell whether theirs is the same.

Another version may count or time otherwise, and its figures would be added to ours without a word.
"""

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("loadtests", "shared")
"""Where all that the load test consists of is, beside packages."""
SHOWN_DIGITS = 12
UNTOLD = "of another time"
"""What is shown of one that is too old to say what it is."""


@cache
def checkout() -> str:
    """Return the version of Locust, which carries our messages, and a hash of the code of this load test."""
    return f"Locust {metadata.version('locust')}, code {code_hash(ROOT)}"


def code_hash(root: Path) -> str:
    """Return a hash of the load test in a folder: of the names of its modules, and of what is in them."""
    digest = hashlib.sha256()
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            for part in (path.relative_to(root).as_posix().encode(), path.read_bytes()):
                digest.update(b"%d:" % len(part) + part)
    return digest.hexdigest()[:SHOWN_DIGITS]


def difference(of_worker: str, *, of_master: str) -> str:
    """Say in one line that a worker has another load test than its master; nothing where it has the same."""
    if of_worker == of_master:
        return ""
    its, master_s = of_worker or UNTOLD, of_master or UNTOLD
    right = "right would be the same checkout, and the same packages, on all hosts"
    return f"its load test ({its}) is not that of its master ({master_s}); {right}"
