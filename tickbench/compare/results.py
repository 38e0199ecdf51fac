"""
Results on disk: one folder a comparison, written run by run, read back with every field checked.

``suite.json`` (what was to be run), ``environment.json`` (on what), ``runs/NNN-<arm>.json`` (what came out, one file a
run, written atomically), and the reports made of them. History of the schemas: 1, the first. A reader ignores fields it
does not know; a field that is taken away or changes its meaning makes a new number.
"""

import contextlib
import fcntl
import itertools
import json
import os
import re
import weakref
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from shared.measure.histogram import Histogram
from shared.system.outputs import keep_elsewhere
from tickbench.compare.runs import Run, RunIndex
from tickbench.compare.suite import Suite
from tickbench.errors import InputError
from tickbench.machine.environment import Environment

LOCK = ".lock"
"""Locked by the process that makes runs."""
ROOM_BYTES = 16 * 2**20
"""What a comparison may take: its runs, and a page of 5 MiB beside the last one, which it replaces."""
UNFINISHED = re.compile(r"\.[A-Za-z0-9_.-]+\.(json|csv|html|md)\.\d+")
"""Names of files that are being written."""


class SuiteRecord(Struct, frozen=True, kw_only=True, tag_field="schema", tag="tickbench.suite/1"):
    """What was to be run."""

    id: str
    started_at: str
    """Local time with its offset, ISO 8601."""
    resumed_at: list[str] = []
    """When it was resumed, as ``started_at``."""
    suite: Suite


class Results(Struct, frozen=True, kw_only=True):
    """A results folder, read."""

    record: SuiteRecord
    environment: Environment
    runs: list[Run]
    """By number; those that were planned and are not here were never finished."""
    files: list[str]
    """The file of each run, relative to the folder."""

    @property
    def index(self) -> RunIndex:
        """Which of the runs count."""
        return RunIndex(self.record.suite, self.runs)


class ResultFolder:
    """A results folder that is being written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def hold(self) -> None:
        """
        Lock the folder, so that no other process writes runs to it, as long as this object lives.

        Raises:
            InputError: another process holds it, files cannot be locked there, or the disk is full.

        """
        with self._told():
            lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        weakref.finalize(self, os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another tickbench makes runs for {self.path}; wait until it ends, or end it") from None
        except OSError as error:  # such as ENOLCK on NFS
            raise InputError(
                f"files cannot be locked in {self.path} ({error.strerror}); give a folder on a local disk with --out"
            ) from error
        disk = os.statvfs(self.path)
        if (free_bytes := disk.f_bavail * disk.f_frsize) < ROOM_BYTES:
            raise InputError(
                f"{self.path} is on a disk with {free_bytes // 2**20} MiB left, of which a comparison may take"
                f" {ROOM_BYTES // 2**20}; make room there, or give another folder with --out"
            )

    @classmethod
    def create(cls, parent: Path, suite: Suite, now: datetime) -> "ResultFolder":
        """Make ``parent/<date>-<time>-<suite>``; raise :class:`InputError` if it cannot be made."""
        name = f"{now:%Y-%m-%d-%H%M%S}-{suite.name}"
        for attempt in range(1, 100):
            path = parent / (name if attempt == 1 else f"{name}-{attempt}")
            try:
                path.mkdir(parents=True)
                (path / "runs").mkdir()
            except FileExistsError:
                if not parent.is_dir():
                    raise InputError(f"{parent} is not a folder; --out takes the folder for result folders") from None
                continue
            except OSError as error:
                raise InputError(f"{path} cannot be made ({error.strerror}); give a folder with --out") from error
            folder = cls(path)
            folder.hold()
            folder.write(
                "suite.json", SuiteRecord(id=path.name, started_at=now.isoformat(timespec="seconds"), suite=suite)
            )
            return folder
        raise InputError(f"{parent} has too many folders that begin with {name}; give another with --out")

    def write(self, name: str, record: Struct) -> None:
        """Write one record atomically: a reader finds all of it or none."""
        self.write_text(name, _as_text(record))

    def write_run(self, run: Run, slug: str) -> None:
        """Write one run to a file of its own; if that fails, save it elsewhere and name the place in the error."""
        name = f"runs/{run.number:03}-{slug}.json"
        try:
            self.write(name, run)
        except InputError as error:
            place = keep_elsewhere(self.path / name, _as_text(run).encode())
            more = f"; move {place} to {self.path / name}, or the run is made again" if place else ""
            raise InputError(f"{error}{more}") from error

    def forget_unfinished(self) -> None:
        """Delete the unfinished files of a process that was killed."""
        for unfinished in [*self.path.glob(".*.*"), *(self.path / "runs").glob(".*.*")]:
            if unfinished.is_file() and UNFINISHED.fullmatch(unfinished.name):
                unfinished.unlink(missing_ok=True)

    def write_text(self, name: str, text: str) -> None:
        """Write one file atomically."""
        path = self.path / name
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")  # see UNFINISHED
        with self._told():
            try:
                unfinished.write_text(text, "utf-8")
                unfinished.replace(path)
            except BaseException:
                unfinished.unlink(missing_ok=True)  # it takes space on a full disk
                raise

    def point_latest_here(self) -> None:
        """Make ``latest`` beside the folder a link to it; anything else of that name stays."""
        latest = self.path.parent / "latest"
        if latest.exists() and not latest.is_symlink():
            return
        unfinished = latest.with_name(f".latest.{os.getpid()}")
        with contextlib.suppress(OSError):  # a convenience: some file systems have no links
            unfinished.unlink(missing_ok=True)
            unfinished.symlink_to(self.path.name)
            unfinished.replace(latest)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn an OSError into an :class:`InputError` of one line."""
        try:
            yield
        except OSError as error:
            why = f"{self.path} cannot be written ({error.strerror}); what is in it stays as it is"
            raise InputError(why) from error


def _as_text(record: Struct) -> str:
    try:
        data = msgspec.json.encode(record)
    except UnicodeEncodeError:  # a path or a variable that is not UTF-8
        data = json.dumps(msgspec.to_builtins(record), ensure_ascii=False).encode("utf-8", "replace")
    return msgspec.json.format(data, indent=1).decode() + "\n"


def read_results(path: Path) -> Results:
    """Read a results folder; raise :class:`InputError` with one clear line if it is none, or a file of it is broken."""
    results = read_unfinished(path)
    if not results.runs:
        raise InputError(f"{path} has no run that ended; there is nothing to report")
    return results


def read_unfinished(path: Path) -> Results:
    """Read a results folder that may have no run yet; raise :class:`InputError` as :func:`read_results` does."""
    if not (path / "suite.json").is_file():
        raise InputError(f"{path} is no results folder (it has no suite.json); give one that tickbench compare wrote")
    if not (path / "runs").is_dir():
        raise InputError(f"{path} has no folder runs; the results folder is not whole")
    runs = [(_read_run(file), file) for file in sorted((path / "runs").glob("*.json"))]
    runs.sort(key=lambda pair: pair[0].number)
    for (run, file), (following, other) in itertools.pairwise(runs):
        if run.number == following.number:
            raise InputError(f"{file} and {other} are both run {run.number}; the results folder is not whole")
    for expected, (run, file) in enumerate(runs, start=1):
        if run.number != expected:
            raise InputError(f"{file} is run {run.number}, but there is no run {expected}; the folder is not whole")
    return Results(
        record=_read_suite(path / "suite.json"),
        environment=read_record(path / "environment.json", Environment),
        runs=[run for run, _ in runs],
        files=[file.relative_to(path).as_posix() for _, file in runs],
    )


class _Tagged(Struct):
    schema: str


Record = TypeVar("Record", bound=Struct)


def read_record(file: Path, record_type: type[Record]) -> Record:
    """Read one record; raise :class:`InputError` with one clear line if it is missing, damaged or of another schema."""
    check_schema(file, record_type)
    try:
        return msgspec.json.decode(file.read_bytes(), type=record_type)
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); the results folder is not whole") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is damaged ({error}); the results folder cannot be used with it") from error


def check_schema(file: Path, record_type: type[Struct]) -> None:
    """Raise :class:`InputError` if a file has another schema than ``record_type``, or none that can be read."""
    expected = record_type.__struct_config__.tag
    try:
        found = msgspec.json.decode(file.read_bytes(), type=_Tagged).schema
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); the results folder is not whole") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is damaged ({error}); the results folder cannot be used with it") from error
    if found != expected:
        raise InputError(f"{file} has schema {found!r}, this tickbench reads {expected!r}; use the one that wrote it")


def _read_suite(file: Path) -> SuiteRecord:
    record = read_record(file, SuiteRecord)
    try:
        record.suite.check()
    except InputError as error:
        raise InputError(f"{file} is damaged ({error}); the results folder cannot be used with it") from error
    return record


def _read_run(file: Path) -> Run:
    run = read_record(file, Run)
    if run.load is not None:
        try:
            Histogram.from_summary(run.load.tick_lateness_ms)
        except ValueError as error:
            raise InputError(f"{file} is damaged ({error}); the results folder cannot be used with it") from error
    return run
