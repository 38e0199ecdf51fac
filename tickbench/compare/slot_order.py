"""
The order in which the arms of a block take their slots, and tick: balanced, and drawn from the suite's seed.

A round gives each arm one slot. The rounds are rows of a Williams design, a Latin square in which each arm follows each
other equally often (E. J. Williams, Experimental designs balanced for the estimation of residual effects of treatments,
Australian Journal of Scientific Research A 2, 1949, 149-168): the first row is 0, 1, n-1, 2, n-2, ..., and each further
one adds 1 (modulo n). The second half of the slots mirrors the first, as an odd n needs it. So each arm comes as often
directly before as behind every other, whatever it leaves behind for the next, and a machine that drifts favours none.
"""

import random


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


def tick_order(arms: int, block: int, seed: int) -> list[int]:
    """
    Return in which order the arms of a block, which are numbered from 0, tick when they run together.

    Each block has the next row of the same design: an arm may be helped or harmed by whose ticks come right before its
    own, so each comes behind every other equally often as far as there are blocks for it, whatever the seed.

    """
    names = list(range(arms))
    random.Random(f"{seed}/ticks").shuffle(names)  # noqa: S311 - an order, not a secret
    row = [names[(place + block - 1) % arms] for place in _first_row(arms)]
    return row[::-1] if arms % 2 and (block - 1) // arms % 2 else row


def _first_row(arms: int) -> list[int]:
    return [(place + 1) // 2 if place % 2 else (arms - place // 2) % arms for place in range(arms)]
