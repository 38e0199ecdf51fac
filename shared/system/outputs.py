"""
Checks and writes the files that a user names for results, so that no result is lost.

A file is replaced atomically, by one that is written next to it, or next to what a link leads to. What cannot be
replaced (a device, a pipe, a file that is mounted, or whose folder is not ours) is written in place.
"""

import errno
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOM_BYTES = 128 * 1024
"""More than a run writes: so much must fit before it is begun."""
MOUNTS = Path("/proc/self/mountinfo")
_DESCRIPTORS = re.compile(r"/dev(/fd)?|/proc/[^/]+/fd")
"""Folders of the system in which no file can be created."""
_CANNOT_REPLACE = frozenset((errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV))


class NotWrittenError(Exception):
    """A file could not be written; the message, one line, says why and where its content is instead."""


def check_output(name: str, path: Path, room_bytes: int = ROOM_BYTES) -> None:
    """
    Try, before anything is measured for it, whether a file can be written; it stays as it is.

    Args:
        name: the flag whose value it is, such as ``--out``.
        path: the file.
        room_bytes: how many bytes must fit.

    Raises:
        ValueError: it can't be written; the message, one line, says why and what would be right.

    """
    try:
        if not path.absolute().parent.is_dir():
            raise ValueError(f"{name} {path}: there is no folder {path.parent}; make it, or give another file")
        if path.is_dir():
            raise ValueError(f"{name} {path} is a folder; give a file in it")
        if path.is_block_device():
            raise ValueError(f"{name} {path} is a disk; give a file, a pipe or a terminal")
        _try_to_write(path, room_bytes)
    except OSError as error:
        raise ValueError(f"{name} {path} can't be written ({error.strerror}); give another file") from error


def write_output(path: Path, data: bytes) -> None:
    """
    Write a file: all of it or, where it can be replaced, nothing.

    Raises:
        NotWrittenError: it can't be written; then ``data`` is in another place, if one could be found.

    """
    try:
        _write(path, data)
    except OSError as error:
        place = keep_elsewhere(path, data)
        where = f"the figures are in {place} instead" if place else "nor could another place be found for the figures"
        raise NotWrittenError(f"{path} can't be written ({error.strerror}); {where}") from error


def keep_elsewhere(path: Path, data: bytes) -> Path | None:
    """Write ``data``, which can't be written to ``path``, to the first place that takes it; return it, None if none."""
    for folder in _places():
        with suppress(OSError):
            place = Path(folder(), f"tickbench-{_chance()}-{path.name[-100:]}").absolute()
            _make(place, data)
            return place
    return None


def is_stdout(path: Path) -> bool:
    """Whether a path leads to where stdout goes (except to ``/dev/null`` and other devices that are no terminals)."""
    return _own_descriptor(path) == 1


def _try_to_write(path: Path, room_bytes: int) -> None:
    """Raise OSError if the file can't be written."""
    if _own_descriptor(path) is not None:
        return
    with suppress(FileNotFoundError):
        path.stat()  # links that lead in a circle lead nowhere
    target = Path(os.path.realpath(path))
    if _is_in_place(path):
        if not os.access(path, os.W_OK) or path.is_socket():
            raise _error(errno.EACCES if path.exists() else errno.ENOENT)
        return
    if not _is_mounted(target):
        try:
            with _part_of(target) as part:
                _make(part, bytes(room_bytes))
            return
        except OSError as error:
            if error.errno not in _CANNOT_REPLACE or not target.exists():
                raise
    if not os.access(target, os.W_OK):
        raise _error(errno.EROFS if os.statvfs(target).f_flag & os.ST_RDONLY else errno.EACCES)
    disk = os.statvfs(target)
    if disk.f_bavail * disk.f_frsize + target.stat().st_size < room_bytes:
        raise _error(errno.ENOSPC)


def _write(path: Path, data: bytes) -> None:
    target = Path(os.path.realpath(path))
    if _is_in_place(path):
        _write_through(path, data)
        return
    try:
        with _part_of(target) as part:
            _make(part, data)
            if target.exists():
                part.chmod(stat.S_IMODE(target.stat().st_mode))
            part.replace(target)
    except OSError as error:
        if error.errno not in _CANNOT_REPLACE or not target.exists():
            raise
        _write_over(target, data)


def _places() -> Iterator[Callable[[], str | Path]]:
    yield tempfile.gettempdir
    yield from (Path("/var/tmp").absolute, Path("/dev/shm").absolute, Path.home, Path.cwd)  # noqa: S108 # the last resort


def _is_in_place(path: Path) -> bool:
    """Whether it can't be replaced as files can: a device, a pipe, or what a descriptor of a process leads to."""
    is_other = path.exists() and not path.is_file()
    return is_other or any(_DESCRIPTORS.fullmatch(str(link.absolute().parent)) for link in _links(path))


def _links(path: Path) -> Iterator[Path]:
    """Yield a path and what it leads to, link by link."""
    for _ in range(40):  # as many as the kernel follows
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()


def _is_mounted(path: Path) -> bool:
    """Whether a file is a mount point, as in containers: it can be written, but not replaced."""
    with suppress(OSError):
        escaped = re.sub(r"[ \t\n\\]", lambda match: f"\\{ord(match[0]):03o}", str(path))  # proc_pid_mountinfo(5)
        return any(line.split()[4] == escaped for line in MOUNTS.read_text("utf-8", "surrogateescape").splitlines())
    return False


@contextmanager
def _part_of(target: Path) -> Iterator[Path]:
    """Yield the name under which a file is written until it is complete; remove it at the end of the block."""
    part = target.with_name(f".tickbench-{_chance()}.part")
    try:
        yield part
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def occupy_closed_streams() -> None:
    """Open /dev/null for each of stdin, stdout, stderr that is closed; else the next socket would get its number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free


def lead_nowhere(descriptor: int) -> None:
    """Redirect a descriptor to /dev/null, such as one whose stream has something in its buffer."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _make(path: Path, data: bytes) -> None:
    """Write a new file; fail if there is one: in a shared folder somebody may have put a link in its place."""
    with path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
        except OSError:
            path.unlink(missing_ok=True)  # a part is of no use
            raise


def _chance() -> str:
    return os.urandom(4).hex()


def _own_descriptor(path: Path) -> int | None:
    """Return 1 or 2 where a path leads to stdout or stderr: opened anew, a file would be written from its beginning."""
    for descriptor in (1, 2):
        with suppress(OSError):
            its = os.fstat(descriptor)
            is_device = stat.S_ISCHR(its.st_mode) and not os.isatty(descriptor)  # /dev/null, which is nobody's own
            if _is_in_place(path) and not is_device and os.path.samestat(path.stat(), its):
                return descriptor
    return None


def _write_through(path: Path, data: bytes) -> None:
    own = _own_descriptor(path)
    if own is not None:
        stream = sys.stdout if own == 1 else sys.stderr
        if stream is not None:
            stream.flush()
        _write_all(own, data)
        return
    # A pipe that nobody reads is an error, and not a wait for somebody who may never come.
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.set_blocking(descriptor, True)
        _write_all(descriptor, data)
    finally:
        os.close(descriptor)


def _write_over(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        _write_all(descriptor, data)
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
