"""
Which arms of a suite run at once in its blocks, in which groups, and when in a period the ticks of each are due.

No more than :data:`MOST_AT_ONCE` servers run at once. Where more arms than that are to be compared with the first one,
they do it in groups, one group after the other, and the first arm is in each: what a ratio needs is that both of its
arms ran in the same moments.
"""

from collections.abc import Mapping, Sequence

from tickbench.compare.slot_order import tick_order

MOST_AT_ONCE = 4
"""
So many servers may run at once. Of six, each 8.3 ms after another at 20 Hz, some differed from others by 7 % in p50 and
fourfold in interval error by their place alone, of four by 1 %: some 40 ms after a tick the kernels' delayed
acknowledgements come, and of four evenly spaced none ticks then (docs/comparing.md).
"""

RunOfArm = tuple[str, bool]
"""An arm's name, and whether it is its second run in the block."""


def grouped(arms: Sequence[str], first: str | None, again: str | None) -> list[list[str]]:
    """
    Return the arms that run at once, group by group; none where that is not possible.

    Args:
        arms: all of them, in the suite's order.
        first: the one that all others are compared with; None: all are to run at once.
        again: the one that runs twice, which it does in the first group only.

    """
    if number_at_once(arms, again) <= MOST_AT_ONCE:
        return [list(arms)] if number_at_once(arms, again) > 1 else []
    if first is None or again not in (None, first):
        return []
    others = [arm for arm in arms if arm != first]
    groups = list[list[str]]()
    while others:
        room = MOST_AT_ONCE - number_at_once([first], None if groups else again)
        groups.append([first, *others[:room]])
        others = others[room:]
    return groups


def number_at_once(names: Sequence[str], again: str | None) -> int:
    """Return how many runs these arms make at once: ``again`` two."""
    return len(names) + (again in names)


def phases(groups: Sequence[Sequence[str]], again: str | None, block: int, seed: int) -> list[dict[RunOfArm, float]]:
    """
    Return when in a period each run of each group has its ticks due in a block, as a share of the period.

    A server keeps its phase for as long as it runs, so the arm that is in all groups has the same place in each.

    """
    if len(groups) == 1:
        runs = sorted(_runs(groups[0], again))
        return [_placed(dict(enumerate(runs)), len(runs), block, seed)]
    places = max(number_at_once(names, again if number == 0 else None) for number, names in enumerate(groups))
    return [
        _placed(
            dict(
                enumerate(
                    [(names[0], False), *sorted(_runs(names, again if number == 0 else None) - {(names[0], False)})]
                )
            ),
            places,
            block,
            seed,
        )
        for number, names in enumerate(groups)
    ]


def _runs(names: Sequence[str], again: str | None) -> set[RunOfArm]:
    return {(name, False) for name in names} | {(name, True) for name in names if name == again}


def _placed(runs: Mapping[int, RunOfArm], places: int, block: int, seed: int) -> dict[RunOfArm, float]:
    """Return the phases of runs, which are numbered, in the order of a block; a number without a run is a hole."""
    order = tick_order(places, block, seed)
    return {runs[number]: round(place / places, 4) for place, number in enumerate(order) if number in runs}
