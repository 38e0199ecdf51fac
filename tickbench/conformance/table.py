"""All checks, in the order in which they are made."""

from tickbench.conformance.check import Check
from tickbench.conformance.checks import (
    entrance,
    frames,
    http,
    keys,
    limits_and_totals,
    pings,
    play,
    refusals,
    rooms,
    ticks,
)

CHECKS: tuple[Check, ...] = tuple(
    value
    for module in (http, entrance, ticks, pings, play, keys, rooms, refusals, frames, limits_and_totals)
    for value in vars(module).values()
    if isinstance(value, Check)
)
