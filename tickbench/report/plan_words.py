"""Say before a comparison runs what it is going to do: what is compared with what, at which level, and for how long."""

from collections.abc import Iterator

from tickbench.compare.figures import BY_KEY
from tickbench.compare.plan import block_estimate_s, estimate_s, fixed_runs, run_estimate_s, searches_of
from tickbench.compare.runs import RunIndex
from tickbench.compare.suite import Suite
from tickbench.report.news import counted_words, listed
from tickbench.report.terminal import in_words
from tickbench.statistics.forecast import SURE, least_difference
from tickbench.statistics.verdicts import ALPHA, LEAST_BLOCKS

SCATTERS = (0.03, 0.1)
"""How far blocks scatter where arms run at once, and where each runs alone: roughly, on a calm machine."""
PAIR = 2


def announcement(suite: Suite, made: int) -> str:
    """Say what is about to happen and how long it takes."""
    fixed = len(list(fixed_runs(suite)))
    words = f"{fixed} runs: {len(suite.arms)} arms x {suite.repeats} repeats, {suite.connections} connections, "
    words += f"{suite.alone_s:g} s measured each"
    if suite.in_slots:
        words += f", side by side in slots of {suite.slot_s:g} s"
        words += _at_once(suite)
    elif suite.slot_s:
        words += ", one after the other, as the server of a url= arm cannot be stopped"
    if suite.sides:
        words += f"; {', '.join(side.name for side in suite.sides)} beside them"
    if suite.searches:
        words += f"; then searches: {', '.join(search.name for search in suite.searches)}"
    words += f"; about {in_words(estimate_s(RunIndex(suite)))}, or half as long again where the machine spoils runs"
    return f"{words}; {made} runs are there already" if made else words


def plan_lines(suite: Suite) -> Iterator[str]:
    """Yield what is compared with what, what can be found, what runs at once, and what takes how long."""
    if suite.verdicts:
        yield from _comparisons(suite)
    groups = suite.groups
    for number, names in enumerate(groups, start=1):
        itself = f" and {suite.again} again" if number == 1 and suite.again in names else ""
        yield f"at once{f', group {number} of {len(groups)}' if len(groups) > 1 else ''}: {listed(names)}{itself}"
    if groups and (alone := [arm for arm in suite.arms if arm not in suite.run_together]):
        yield f"alone only: {listed(alone)}"
    yield f"in all {in_words(estimate_s(RunIndex(suite)))}: {'; '.join(_times(suite))}"


def _at_once(suite: Suite) -> str:
    if len(suite.groups) > 1:
        first, others = suite.groups[0][0], len(suite.run_together) - 1
        return f", {others} of them {suite.together_s:g} s at once with {first}, in {len(suite.groups)} groups"
    return f", {listed(suite.run_together)} {suite.together_s:g} s at once" if suite.run_together else ""


def _comparisons(suite: Suite) -> Iterator[str]:
    first, *others = suite.compare
    titles = [BY_KEY[key].title if key in BY_KEY else f"capacity ({key})" for key in suite.verdicts]
    asked = len(others) * len(titles)
    which = others[0] if len(suite.compare) == PAIR else f"each of {counted_words(len(others), 'other arm')}"
    yield (
        f"compared: {which} with {first}, in {listed(titles)}: {counted_words(asked, 'verdict')}, all together held to "
        f"{100 * ALPHA:.0f} % (Holm), the clearest to {100 * ALPHA / asked:.2g} %; all else is shown without a verdict"
    )
    if suite.repeats < LEAST_BLOCKS:
        yield f"in {counted_words(suite.repeats, 'block')} nothing can be found: a verdict needs {LEAST_BLOCKS}"
        return
    at_once, alone = (least_difference(suite.repeats, ALPHA / asked, scatter) for scatter in SCATTERS)
    yield (
        f"found in {10 * SURE:.0f} of 10 cases in {suite.repeats} blocks: a difference of {100 * (at_once - 1):.0f} % "
        f"where blocks scatter by {100 * SCATTERS[0]:.0f} %, of {100 * (alone - 1):.0f} % where they do by "
        f"{100 * SCATTERS[1]:.0f} %"
    )


def _times(suite: Suite) -> Iterator[str]:
    fixed = list(fixed_runs(suite))
    yield f"{counted_words(suite.repeats, 'block')} of {in_words(block_estimate_s(suite))} each"
    for side in suite.sides:
        seconds = sum(run_estimate_s(each) for each in fixed if each.part == side.name)
        yield f"{side.name} {in_words(seconds)}"
    for search in suite.searches:
        own = [each for each in searches_of(RunIndex(suite)) if each.search.name == search.name]
        yield f"search {search.name} {in_words(len(own) * search.budget_s)} at most"
