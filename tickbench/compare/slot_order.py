"""
The order in which the arms of a block take their slots: balanced, and drawn from the suite's seed.

A round gives each arm one slot. The rounds are rows of a Williams design, a Latin square in which each arm follows each
other equally often (E. J. Williams, Experimental designs balanced for the estimation of residual effects of treatments,
Australian Journal of Scientific Research A 2, 1949, 149-168): the first row is 0, 1, n-1, 2, n-2, ..., and each further
one adds 1 (modulo n). The second half of the slots mirrors the first, as an odd n needs it. So each arm comes as often
directly before as behind every other, whatever it leaves behind for the next, and a machine that drifts favours none.
"""

import random
from collections.abc import Sequence

from tickbench.compare.plan import PlannedRun


def block_order(planned: Sequence[PlannedRun], seed: int) -> list[int]:
    """Return the places in ``planned``, the runs of a block, whose slots come one after the other."""
    # Arms have the same numbers in every block, whatever the order of its runs: else no block would mirror another.
    places = sorted(range(len(planned)), key=lambda place: (planned[place].arm.name, planned[place].again))
    first = planned[0]
    return [places[arm] for arm in slot_order(len(planned), first.slots, first.block, seed)]


def slot_order(arms: int, slots: int, block: int, seed: int) -> list[int]:
    """
    Return whose slot is the next, for all ``slots`` of each of the arms, which are numbered from 0.

    With an odd number of slots the round in the middle has no mirror in its block: then each even block as a whole is
    the mirror of the one before it.

    """
    is_odd = slots % 2 == 1
    rng = random.Random(f"{seed}/slots/{(block + 1) // 2 if is_odd else block}")  # noqa: S311 - an order, not a secret
    names = list(range(arms))
    rng.shuffle(names)
    rows = [[names[(place + row) % arms] for place in _first_row(arms)] for row in range((slots + 1) // 2)]
    half = [arm for row in rows[: slots // 2] for arm in row]
    order = [*half, *(rows[-1] if is_odd else []), *reversed(half)]
    return order[::-1] if is_odd and block % 2 == 0 else order


def _first_row(arms: int) -> list[int]:
    return [(place + 1) // 2 if place % 2 else (arms - place // 2) % arms for place in range(arms)]
