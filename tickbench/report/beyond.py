"""
Load what no measurement shows of the two stacks: what they depend on, which faults we mended, and what blocks them.

Read from ``beyond.toml``, in which every sentence names its source.
"""

from datetime import date
from importlib import resources
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

Stack = Literal["asyncio", "gevent"]
Text = Annotated[str, Meta(min_length=1)]
Url = Annotated[str, Meta(pattern="^https://[^ ]+$")]
File = Annotated[str, Meta(pattern=r"^[a-z0-9_/]+\.py$")]
Test = Annotated[str, Meta(pattern=r"^tests/[a-z0-9_/]+\.py::test_[a-z0-9_]+$")]


class Statement(Struct, frozen=True, forbid_unknown_fields=True):
    """
    A sentence or two, and who says so.

    ``dated`` is the date that the source itself bears (of a commit, of a release), else the day on which it was read.
    """

    text: Text
    source: Url
    dated: date


class Dependency(Struct, frozen=True, forbid_unknown_fields=True):
    """
    A package that a stack's server is built on.

    ``version`` is that of ``uv.lock``; ``last_release`` was the newest one on the day ``dated``, first uploaded on
    ``released_on`` (UTC). ``warnings`` are its maintainers' own, or what its repository shows.
    """

    stack: Stack
    name: Text
    role: Text
    version: Text
    last_release: Text
    released_on: date
    source: Url
    dated: date
    warnings: tuple[Statement, ...] = msgspec.field(default=(), name="warning")


class Fault(Statement, frozen=True, forbid_unknown_fields=True):
    """
    What a library does that a server can't live with (``text``), the file that mends it, and the test that proves it.

    ``version`` is that in which it was seen, ``test`` a ``path::function``.
    """

    stack: Stack
    library: Text
    version: Text
    mended_in: File
    test: Test


class Blocking(Statement, frozen=True, forbid_unknown_fields=True):
    """Something that keeps the event loop or the hub from running (``text``), and how one finds out."""

    stack: Stack
    find: Statement


class Beyond(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file, each table in the order in which it is to be read."""

    dependencies: tuple[Dependency, ...] = msgspec.field(name="dependency")
    faults: tuple[Fault, ...] = msgspec.field(name="fault")
    blocking: tuple[Blocking, ...]


def load_beyond() -> Beyond:
    """Read the file that comes with tickbench; raise :class:`msgspec.ValidationError` if it is not well formed."""
    return msgspec.toml.decode(resources.files("tickbench.report").joinpath("beyond.toml").read_bytes(), type=Beyond)
