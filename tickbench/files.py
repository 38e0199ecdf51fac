"""Check that a file can be written before minutes are spent on it, and make temporary folders."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.system.outputs import check_output
from tickbench.errors import InputError


def check_file(name: str, file: Path | None) -> None:
    """Raise :class:`InputError` if the file of the flag ``name`` can't be written; None is no file."""
    if file is not None:
        try:
            check_output(name, file)
        except ValueError as error:
            raise InputError(str(error)) from error


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a temporary folder until the end of the block; raise :class:`InputError` if none can be made."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="tickbench-", ignore_cleanup_errors=True)
    except OSError as error:
        raise InputError(
            f"no temporary folder can be made ({error.strerror}); set TMPDIR to a folder that has room"
        ) from error
    with folder as path:
        yield Path(path)
