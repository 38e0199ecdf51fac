"""
What control groups allow of CPU time, and what they have held back.

A container's limit is such a quota: when the group has used its share of a period, the kernel stops all of it until the
next one begins. Every group around it may have one, too.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Quota(msgspec.Struct, frozen=True):
    """That of one group."""

    group: Annotated[str, msgspec.Meta(max_length=4096)]
    """Its path, as far as it can be seen from here."""
    cores: Annotated[float, msgspec.Meta(ge=0, le=2**20)] | None
    """How many cores it is worth; None where it was taken away meanwhile."""
    throttled_periods: Count = 0
    """In how many periods the group was stopped since it was made."""
    throttled_us: Count = 0
    """For how long, added up over the cores that it could have run on."""


def throttled_between(before: Iterable[Quota], after: Iterable[Quota]) -> list[Quota]:
    """Return what was held back between two readings, of the groups where anything was."""
    earlier = {quota.group: quota for quota in before}
    grown = []
    for quota in after:
        old = earlier.get(quota.group, Quota(quota.group, None))  # it had no quota, and had held nothing back
        periods, us = quota.throttled_periods - old.throttled_periods, quota.throttled_us - old.throttled_us
        # A group that was made anew counts from the start; and what is going on is counted when it is over.
        if min(periods, us) >= 0 and (periods or us):
            grown.append(Quota(quota.group, quota.cores if quota.cores is not None else old.cores, periods, us))
    return grown


def in_words(quotas: Sequence[Quota]) -> str:
    """Say what some quotas have held back."""
    return ", ".join(
        f"for {quota.throttled_us / 1000:,.1f} ms in {_periods(quota.throttled_periods)} ({quota_words(quota)})"
        for quota in quotas
    )


def _periods(count: int) -> str:
    return f"{count:,} period{'' if count == 1 else 's'}"


def quota_words(quota: Quota) -> str:
    """Say what a quota is."""
    if quota.cores is None:
        return f"a quota of group {quota.group}, which is gone"
    return f"quota of {quota.cores:g} cores, group {quota.group}"
