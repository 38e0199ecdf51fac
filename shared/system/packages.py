"""
Reports a missing package in one line: its name, what needs it, and how to install it.

Imports nothing that gevent patches: the entry points use it before all else.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

OURS = frozenset({"backends", "loadtests", "shared", "tickbench"})
DISTRIBUTIONS = {
    "_cffi_backend": "cffi",
    "channels_redis": "channels-redis",
    "flask_sock": "flask-sock",
    "geventwebsocket": "gevent-websocket",
    "hdrh": "hdrhistogram",
    "prometheus_client": "prometheus-client",
    "simple_websocket": "simple-websocket",
    "websocket": "websocket-client",
    "zmq": "pyzmq",
}
"""The packages whose names differ from those of their modules."""
USAGE_STATUS = 2


def missing_words(error: ImportError, what: str, extra: str | None = None) -> str | None:
    """Return in one line which package ``what`` lacks, and how to get it; None if the error is a bug of ours."""
    module = (error.name or "").partition(".")[0]
    if not module or (module in OURS and not isinstance(error, ModuleNotFoundError)):
        return None
    if module in OURS:
        return f"{what} needs {error.name}, which is not installed; install tickbench as a whole"
    package = DISTRIBUTIONS.get(module, module)
    why = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be imported ({error})"
    return f"{what} needs the package {package}, which {why}; {advice(package, extra)}"


def advice(package: str, extra: str | None) -> str:
    """Return how to install a package: by the extra, if there is one, as that has all else that is needed, too."""
    what = f"'tickbench[{extra}]'" if extra else package
    return f"pip install {what} would add it"


@contextmanager
def needed_by(what: str, extra: str | None = None) -> Iterator[None]:
    """
    If an import in the block fails for want of a package, say so in one line on stderr and exit with status 2.

    ``extra`` is the one of pyproject.toml that has all that ``what`` needs; None if every installation has.

    """
    try:
        yield
    except ImportError as error:
        words = missing_words(error, what, extra)
        if words is None:
            raise
        print(f"error: {' '.join(words.split())}", file=sys.stderr)  # noqa: T201 # the user is told
        sys.exit(USAGE_STATUS)
