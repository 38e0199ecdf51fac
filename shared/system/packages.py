"""
A package that is missing, said in one line: its name, what needs it, and the extra of ours that holds it.

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


def missing_words(error: ImportError, what: str, extra: str | None = None) -> str | None:
    """Say in one line what ``what``, for which there is ``extra``, lacks; None if it is a fault of our own."""
    module = (error.name or "").partition(".")[0]
    if not module or (module in OURS and not isinstance(error, ModuleNotFoundError)):
        return None
    if module in OURS:
        return f"{what} needs {error.name}, which is not installed; install tickbench as a whole"
    package = DISTRIBUTIONS.get(module, module)
    why = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be imported ({error})"
    return f"{what} needs the package {package}, which {why}; {advice(package, extra)}"


def advice(package: str, extra: str | None) -> str:
    """Say how to get a package: with all else that is needed with it, where there is an extra for that."""
    what = f"'tickbench[{extra}]'" if extra else package
    return f"pip install {what} would add it"


@contextmanager
def needed_by(what: str, extra: str | None = None) -> Iterator[None]:
    """
    Where an import of the block fails for want of a package, say so in one line and exit with status 2.

    ``extra`` is the one of pyproject.toml that holds all that ``what`` needs, None if every install of ours does.

    """
    try:
        yield
    except ImportError as error:
        words = missing_words(error, what, extra)
        if words is None:
            raise
        print(f"error: {' '.join(words.split())}", file=sys.stderr)  # noqa: T201 # the user is told
        sys.exit(USAGE_STATUS)
