"""
Parse objectives for a load run, such as ``tick_lateness_ms.p99<25,ticks_came>=0.999``, and check a run against them.

A figure is named by its place in the summary (:mod:`shared.measure.summary`), dots between its parts. The same names
are the columns of ``runs.csv`` and what a suite draws verdicts on.
"""

import operator
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct

from shared.measure.summary import LoadSummary
from shared.system.variables import option
from tickbench.errors import InputError

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
BROKEN_STATUS = 4
"""Exit status where an objective is broken."""
UNTRUSTED_STATUS = 3
"""Exit status where no figure can be trusted, so that an objective is neither held nor broken."""
EXAMPLE = "tick_lateness_ms.p99<25,reach>=0.999,ticks_came>=0.999"
"""``reach`` does not count what was never sent, so an objective needs ``ticks_came`` as well."""
GRAMMAR = f"an objective is FIGURE<NUMBER (or <=, >, >=), for example {EXAMPLE}"
_OBJECTIVE = re.compile(r"([a-z][a-z0-9_.]*)\s*(<=|>=|<|>)\s*([0-9.eE+-]+)")


class Objective(Struct, frozen=True):
    """One figure and its bound."""

    figure: str
    operator: str
    bound: float

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.figure}{self.operator}{self.bound:g}"

    def complaint(self, load: LoadSummary) -> str | None:
        """Return in words how a run breaks it, None if it holds."""
        return self.complaint_of(read_figure(load, self.figure))

    def complaint_of(self, value: float | None) -> str | None:
        """Return in words how a value breaks it, None if it holds; a value that was not measured breaks it."""
        if value is not None and OPERATORS[self.operator](value, self.bound):
            return None
        return f"{self.figure} is {'unknown' if value is None else f'{value:.6g}'}, not {self.operator} {self.bound:g}"


def slo_option(who: str) -> Callable[[Any], Any]:
    """Return the option by which objectives are given; ``who`` must hold them."""
    words = f"What {who} must hold, such as '{EXAMPLE}'; exit status {BROKEN_STATUS} if not."
    return option("--slo", "slo_text", metavar="OBJECTIVES", help=words)


def parse_slo(text: str) -> list[Objective]:
    """Read objectives, commas between them; raise :class:`InputError` if there is none, or one is malformed."""
    return [_parse_objective(part) for part in text.split(",")]


def complaints(objectives: list[Objective], load: LoadSummary) -> list[str]:
    """Return in words how a run breaks these objectives, one text each."""
    return [complaint for objective in objectives if (complaint := objective.complaint(load))]


def read_figure(load: LoadSummary, figure: str) -> float | None:
    """Return a figure of a summary by its name, in the summary's unit; None where it was not measured."""
    value: Any = load
    for part in figure.split("."):
        if value is None:
            return None
        value = getattr(value, part)
    return None if value is None else float(value)


@cache  # describing the summary takes 3 ms, and a search asks for each objective of each of its steps
def check_figure(figure: str) -> None:
    """Raise :class:`InputError` if a summary has no such figure, or it is no number."""
    fields = {field.name: field.type for field in _fields(msgspec.inspect.type_info(LoadSummary))}
    parts = figure.split(".")
    for depth, part in enumerate(parts, start=1):
        if part not in fields:
            place = ".".join(parts[: depth - 1]) or "a summary"
            raise InputError(f"there is no figure {figure!r}: {place} has {', '.join(sorted(fields)) or 'no parts'}")
        found = fields[part]
        fields = {field.name: field.type for field in _fields(found)}
    if not _is_number(found):
        raise InputError(f"{figure!r} is no number; {GRAMMAR}")


def _parse_objective(text: str) -> Objective:
    match = _OBJECTIVE.fullmatch(text.strip())
    if match is None:
        raise InputError(f"objective {text.strip()!r} is malformed; {GRAMMAR}")
    figure, sign, bound = match.groups()
    check_figure(figure)
    try:
        return Objective(figure, sign, float(bound))
    except ValueError:
        raise InputError(f"objective {text.strip()!r}: {bound!r} is no number; {GRAMMAR}") from None


def _fields(found: msgspec.inspect.Type) -> tuple[msgspec.inspect.Field, ...]:
    return next((each.fields for each in _members(found) if isinstance(each, msgspec.inspect.StructType)), ())


def _is_number(found: msgspec.inspect.Type) -> bool:
    numbers = (msgspec.inspect.IntType, msgspec.inspect.FloatType)
    return all(isinstance(each, (*numbers, msgspec.inspect.NoneType)) for each in _members(found)) and any(
        isinstance(each, numbers) for each in _members(found)
    )


def _members(found: msgspec.inspect.Type) -> tuple[msgspec.inspect.Type, ...]:
    return found.types if isinstance(found, msgspec.inspect.UnionType) else (found,)
