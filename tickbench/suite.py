"""
Suites: what one comparison runs, read from TOML. Knows nothing of processes, results or time.

A suite is one of those in ``tickbench/suites``, by its name, or a file of the user's.
"""

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from tickbench.arms import Arm, parse_arms
from tickbench.errors import InputError

Name = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,40}$")]
Count = Annotated[int, Meta(ge=1, le=100_000)]
Repeats = Annotated[int, Meta(ge=1, le=100)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class Suite(Struct, frozen=True, forbid_unknown_fields=True):
    """What is run: every arm ``repeats`` times, at one load. ``server`` holds flags of ``serve`` for all arms."""

    name: Name
    arms: list[str]
    scenario: Name
    connections: Count
    duration_s: Seconds
    warm_up_s: Annotated[float, Meta(ge=0, le=86_400)]
    repeats: Repeats
    seed: int
    description: str = ""
    server: dict[str, str | int | float] = {}

    def parsed_arms(self) -> list[Arm]:
        """Return the arms, in the suite's order; raise :class:`InputError` if one is malformed."""
        return parse_arms(self.arms)


def load_suite(name_or_path: str) -> Suite:
    """Read a suite; raise :class:`InputError` if there is none, or it is not well formed."""
    source = _find(name_or_path)
    try:
        suite = msgspec.toml.decode(source.read_bytes(), type=Suite)
        suite.parsed_arms()
    except OSError as error:
        raise InputError(f"suite {name_or_path!r} cannot be read ({error.strerror}); give a readable file") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"suite {name_or_path!r}: {_one_line(error)}; tickbench/suites/quick.toml is a model"
        ) from error
    except InputError as error:
        raise InputError(f"suite {name_or_path!r}: {error}") from error
    return suite


def suite_names() -> list[str]:
    """List the suites that come with tickbench."""
    return sorted(entry.name.removesuffix(".toml") for entry in _built_in().iterdir() if entry.name.endswith(".toml"))


def _find(name_or_path: str) -> Traversable:
    if name_or_path in suite_names():
        return _built_in() / f"{name_or_path}.toml"
    path = Path(name_or_path)
    if path.suffix != ".toml" or not path.is_file():
        known = ", ".join(suite_names())
        raise InputError(f"there is no suite {name_or_path!r}; known are {known}, or give a file that ends in .toml")
    return path


def _built_in() -> Traversable:
    return resources.files("tickbench.suites")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
