"""
The quotas of CPU time that control groups have, and for how long they have stopped their processes.

A container's limit is such a quota: when the group has used its share of a period, the kernel stops all its processes
until the next one begins. Every group around it may have one, too.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Quota(msgspec.Struct, frozen=True):
    """The quota of one group."""

    group: Annotated[str, msgspec.Meta(max_length=4096)]
    """Its path, as far as it can be seen from here."""
    cores: Annotated[float, msgspec.Meta(ge=0, le=2**20)] | None
    """How many cores it is worth; None where the quota has been removed."""
    throttled_periods: Count = 0
    """In how many periods the group was stopped since it was created."""
    throttled_us: Count = 0
    """For how long, added up over the cores that it could have run on."""


def throttled_between(before: Iterable[Quota], after: Iterable[Quota]) -> list[Quota]:
    """Return the groups that were stopped between two readings, with how often and for how long."""
    earlier = {quota.group: quota for quota in before}
    grown = []
    for quota in after:
        old = earlier.get(quota.group, Quota(quota.group, None))  # it had no quota, and had held nothing back
        periods, us = quota.throttled_periods - old.throttled_periods, quota.throttled_us - old.throttled_us
        # A group that was created anew counts from 0; and a stop that lasts is counted when it is over.
        if min(periods, us) >= 0 and (periods or us):
            grown.append(Quota(quota.group, quota.cores if quota.cores is not None else old.cores, periods, us))
    return grown


def in_words(quotas: Sequence[Quota]) -> str:
    """Say for how long, and in how many periods, each quota has stopped its group."""
    return ", ".join(
        f"for {quota.throttled_us / 1000:,.1f} ms in {_periods(quota.throttled_periods)} ({quota_words(quota)})"
        for quota in quotas
    )


def _periods(count: int) -> str:
    return f"{count:,} period{'' if count == 1 else 's'}"


def quota_words(quota: Quota) -> str:
    """Say how many cores a quota is worth, and which group has it."""
    if quota.cores is None:
        return f"a quota of group {quota.group}, which is gone"
    return f"quota of {quota.cores:g} cores, group {quota.group}"
