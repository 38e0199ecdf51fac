"""
A package that is missing, said in one line: its name, and what needs it.

Imports nothing that gevent patches: the entry points use it before all else.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

OURS = frozenset({"backends", "loadtests", "shared", "tickbench"})
DISTRIBUTIONS = {
    "_cffi_backend": "cffi",
    "geventwebsocket": "gevent-websocket",
    "hdrh": "hdrhistogram",
    "prometheus_client": "prometheus-client",
    "websocket": "websocket-client",
}
"""What is installed for a module, where it has another name."""
USAGE_STATUS = 2


def missing_words(error: ImportError, what: str) -> str | None:
    """Say in one line what ``what`` lacks; None if it is a fault of our own."""
    module = (error.name or "").partition(".")[0]
    if not module or (module in OURS and not isinstance(error, ModuleNotFoundError)):
        return None
    if module in OURS:
        return f"{what} needs {error.name}, which is not installed; install tickbench as a whole"
    package = DISTRIBUTIONS.get(module, module)
    why = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be imported ({error})"
    return f"{what} needs the package {package}, which {why}; pip install {package} would add it"


@contextmanager
def needed_by(what: str) -> Iterator[None]:
    """Where an import of the block fails for want of a package, say so in one line and exit with status 2."""
    try:
        yield
    except ImportError as error:
        words = missing_words(error, what)
        if words is None:
            raise
        print(f"error: {' '.join(words.split())}", file=sys.stderr)  # noqa: T201 # the user is told
        sys.exit(USAGE_STATUS)
