"""What the values of a server's flags are: rates, fields, ports, parts of lists; each with words for what is none."""

import re
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from shared.relay.url import RelayUrl, parse_relay_url
from shared.server.score_url import ScoreUrl, parse_score_place
from shared.system.variables import SERVICE_PORT

DEFAULT_PORT = 8000
MIN_FIELD, MAX_FIELD = (20, 11), (1000, 1000)
MAX_TICK_RATE_HZ = 1000


class RateType(click.ParamType[Fraction]):
    """A rate in Hz: a decimal number of ``what`` a second."""

    name = "hz"

    def __init__(self, what: str) -> None:
        self._what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        """Return the exact rate."""
        if not re.fullmatch(r"\d{1,4}(\.\d{1,6})?", str(value), re.ASCII):
            self.fail(f"{value!r} is no rate; {self._what} a second, such as 20 or 0.5, would be", param, ctx)
        rate = Fraction(str(value))
        if not 0 < rate <= MAX_TICK_RATE_HZ:
            self.fail(f"{value!r} is out of range; above 0 and up to {MAX_TICK_RATE_HZ} would be right", param, ctx)
        return rate


class FieldType(click.ParamType[tuple[int, int]]):
    """A field's size, ``WIDTHxHEIGHT`` in cells."""

    name = "WxH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return width and height."""
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", str(value))
        size = (int(match[1]), int(match[2])) if match else (0, 0)
        if not all(low <= cells <= high for low, cells, high in zip(MIN_FIELD, size, MAX_FIELD, strict=True)):
            self.fail(f"{value!r} is no field; WIDTHxHEIGHT from 20x11 to 1000x1000 would be", param, ctx)
        return size


class PortType(click.IntRange):
    """A port; the value that Kubernetes sets in ``TICKBENCH_PORT`` is reported and ignored."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the port."""
        is_typed = ctx is None or ctx.get_parameter_source("port") is not ParameterSource.ENVIRONMENT
        if not is_typed and SERVICE_PORT.fullmatch(str(value)):
            words = f"TICKBENCH_PORT={value} is what Kubernetes sets beside a service called tickbench"
            print(f"{words}: ignored; --port {DEFAULT_PORT} holds", file=sys.stderr)  # noqa: T201 # the user is told
            return DEFAULT_PORT
        port: int = super().convert(value, param, ctx)
        return port


class ScoresType(click.ParamType[ScoreUrl | Path | None]):
    """What keeps the top scores."""

    name = "file or url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ScoreUrl | Path | None:
        """Return the server or the file; None for memory alone."""
        try:
            return parse_score_place(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class RelayType(click.ParamType[RelayUrl]):
    """Where a relay is."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> RelayUrl:
        """Return its URL."""
        try:
            return parse_relay_url(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class ListType(click.ParamType[str]):
    """One of a list, which is separated by commas or white space in the environment."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002 # click's signature
        """Return it as it is."""
        return str(value)

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return the list."""
        return re.findall(r"[^\s,]+", rv)
