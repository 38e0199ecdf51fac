"""
Say in five lines which arm to take, for who reads a report in two minutes: drawn from verdicts and facts only.

What no verdict decides is said to be undecided. Arms are only compared with the first one, so those that are ahead of
it stand in the suite's order, which is no rank; ranges are of what the verdicts found.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from tickbench.arms import Arm
from tickbench.compare.suite import Suite
from tickbench.report.framework_facts import facts_of, framework_of
from tickbench.report.news import counted_words, listed
from tickbench.report.practice import RELEASE
from tickbench.statistics.verdicts import times_words
from tickbench.verdict.comparisons import Comparison, Comparisons
from tickbench.verdict.standings import Place, Standing, standings_of

TITLE = "So which should I take?"
PAIR = 2
OLD_YEARS = 2
"""A framework whose newest release is older is named for it."""


def choice_of(suite: Suite, comparisons: Comparisons, started_at: str) -> list[str]:
    """Return the lines, five at most; none of a suite that names no verdicts."""
    if not suite.verdicts:
        return []
    arms = {arm.name: arm for arm in suite.parsed_arms()}
    titles = {name: title_of(arm, list(arms.values())) for name, arm in arms.items()}
    first = arms[suite.compare[0]]
    teller = _Teller(titles, framework_of(first) or first.name if not is_documented(first) else titles[first.name])
    found = standings_of(comparisons)
    documented = [each for each in found if is_documented(arms[each.arm])]
    tuned = [each for each in found if each not in documented]
    taken = [arms[each.arm] for each in tuned if each.place == "ahead"] or [first]
    is_decided = any(each.place not in ("unknown", "open") for each in found)
    lines = [
        teller.take(tuned, comparisons) if is_decided or comparisons.suppressed else teller.undecided(found),
        teller.close(tuned) if is_decided else "",
        teller.behind(tuned, [] if comparisons.suppressed else found) if found else "",
        teller.documented(documented) if is_decided else "",
        facts_line(taken, list(arms.values()), titles, datetime.fromisoformat(started_at).date()),
    ]
    return [line for line in lines if line]


def is_documented(arm: Arm) -> bool:
    """Whether it is written as its framework's own documentation writes it."""
    return dict(arm.settings).get("fanout") == "naive"


def title_of(arm: Arm, among: Sequence[Arm] = ()) -> str:
    """Return an arm in words, its framework first; settings that only tell it from no other are left out."""
    framework = framework_of(arm)
    if framework is None:
        return arm.name
    settings = {key: value for key, value in arm.settings if key != "framework"}
    written = ", as documented" if settings.pop("fanout", "") == "naive" else ""
    if written and not any(_bare(arm) == _bare(other) for other in among if other is not arm):
        settings.pop("clock", None)
    more = "".join(f", {key}={value}" for key, value in settings.items())
    return f"{framework} on {arm.backend}{written}{more}"


def _bare(arm: Arm) -> tuple[str, list[tuple[str, str]]]:
    return arm.backend, sorted((key, value) for key, value in arm.settings if key != "clock")


class _Teller:
    """Writes the lines; ``titles`` are the arms in words, ``first`` the one that all others are compared with."""

    def __init__(self, titles: dict[str, str], first: str) -> None:
        self._titles = titles
        self._first = first

    def undecided(self, found: Sequence[Standing]) -> str:
        """Say that the verdicts decide nothing."""
        asked = sum(len(each.undecided) + len(each.alike) for each in found)
        alike = sum(len(each.alike) for each in found)
        but = f" ({alike} found both equivalent)" if alike else ""
        return (
            f"Nothing is decided: of {counted_words(asked, 'comparison')} with {self._first} none names a better "
            f"arm{but}, so take the one that you know."
        )

    def take(self, tuned: Sequence[Standing], comparisons: Comparisons) -> str:
        """Say which arm is ahead, or that none is."""
        if comparisons.suppressed is not None:
            return f"Nothing is decided: {comparisons.suppressed[:1].lower()}{comparisons.suppressed[1:]}"
        ahead = _at(tuned, "ahead")
        if ahead:
            which = "" if len(ahead) == 1 else " They were not compared with each other, so this is no order."
            return f"Take {' Or '.join(self._ahead(each) for each in _alike(ahead))}{which}"
        if tuned and all(each.place == "behind" for each in tuned):
            return f"Take {self._first}: every other is worse in something and better in nothing."
        return (
            f"Take {self._first}, or what you know: no other was found to be better without being worse in something."
        )

    def close(self, tuned: Sequence[Standing]) -> str:
        """Say which arms are as good as the first, which are not told from it, and which are a trade."""
        parts = []
        if level := _at(tuned, "level"):
            parts.append(f"As good as {self._first} in all that was judged: {self._named(level)}.")
        if not_told := _at(tuned, "open"):
            parts.append(f"Not told from it in all: {self._named(not_told)}.")
        parts += [
            f"A trade: {self._titles[each.arm]} is better in {_found(each.better)}, worse in {_found(each.worse)}."
            for each in _at(tuned, "trade")
        ]
        return " ".join(parts)

    def behind(self, tuned: Sequence[Standing], found: Sequence[Standing]) -> str:
        """Say which arms are worse in something and better in nothing, and which were not judged."""
        behind = _at(tuned, "behind")
        parts = [f"{self._titles[each.arm]} (worse in {_briefly(each.worse)})" for each in behind]
        lines = [f"Behind {self._first}, and better in nothing: {listed(parts)}."] if behind else []
        lines += [f"Not judged: {self._titles[each.arm]}: {each.withheld}" for each in _at(found, "unknown")]
        return " ".join(lines)

    def documented(self, documented: Sequence[Standing]) -> str:
        """Say what it costs to write a broadcast as the documentation has it."""
        judged = [each for each in documented if each.place != "unknown"]
        if not judged:
            return ""
        worse = [each for each in judged if each.worse]
        if not worse:
            return (
                f"Written as its documentation writes a broadcast none of {len(judged)} was found to be worse than "
                f"{self._first} in anything."
            )
        keys = dict.fromkeys(each.figure for standing in worse for each in standing.worse)
        ranges = [
            _range_of([each for standing in worse for each in standing.worse if each.figure == key]) for key in keys
        ]
        better = [each for each in judged if each.better]
        but = f" Better in something: {'; '.join(self._better(each) for each in better)}." if better else ""
        return (
            f"Written as its own documentation writes a broadcast, {len(worse)} of {counted_words(len(judged), 'arm')} "
            f"are worse than {self._first}: {listed(ranges)}.{but}"
        )

    def _ahead(self, alike: Sequence[Standing]) -> str:
        """Say what arms are better in, if it is the same of all: of several without each one's interval."""
        each, *others = alike
        left = f", not told apart in {listed(one.title for one in each.undecided)}" if each.undecided else ""
        *names, last = (self._titles[one.arm] for one in alike)
        if not others:
            return f"{last}: better than {self._first} in {_found(each.better)}, worse in nothing{left}."
        found = zip(*(one.better for one in alike), strict=True)
        better = listed(f"{of[0].title} by {_range_words(of)} times" for of in found)
        return f"{', '.join(names)} or {last}: each better than {self._first} in {better}, worse in nothing{left}."

    def _better(self, each: Standing) -> str:
        return f"{self._titles[each.arm]} in {_found(each.better)}"

    def _named(self, found: Sequence[Standing]) -> str:
        return listed(
            self._titles[each.arm]
            + (f" (open: {listed(one.title for one in each.undecided)})" if each.undecided else "")
            for each in found
        )


def facts_line(taken: Sequence[Arm], arms: Sequence[Arm], titles: dict[str, str], today: date) -> str:
    """Say of those to take when they were released and whether they run without the GIL, and which are old."""
    parts = []
    for arm in taken:
        known = facts_of(arm)
        release = RELEASE.fullmatch(known.released) if known is not None else None
        if known is None or release is None:
            continue
        faults = f", {counted_words(len(known.mended), 'fault')} mended here" if known.mended else ""
        parts.append(
            f"{titles[arm.name]} was last released on {release['day']}, names Python {known.python}, "
            f"free threads: {known.free_threads}{faults}"
        )
    old = dict.fromkeys(words for arm in arms if (words := _old(arm, today)))
    parts += [f"no release for {OLD_YEARS} years: {listed(old)}"] if old else []
    return f"Beside the figures: {'; '.join(parts)}." if parts else ""


def _old(arm: Arm, today: date) -> str:
    known = facts_of(arm)
    release = RELEASE.fullmatch(known.released) if known is not None else None
    if release is None or (today - date.fromisoformat(release["day"])).days <= 365 * OLD_YEARS:
        return ""
    return f"{framework_of(arm)} ({release['day']})"


def _at(found: Iterable[Standing], place: Place) -> list[Standing]:
    return [each for each in found if each.place == place]


def _found(comparisons: Sequence[Comparison]) -> str:
    return listed(f"{each.title} by {_by(each)}" for each in comparisons)


def _briefly(comparisons: Sequence[Comparison]) -> str:
    """Return the same without the intervals."""
    return ", ".join(f"{each.title} by {_by(each).partition(' times')[0]} times" for each in comparisons)


def _by(each: Comparison) -> str:
    return each.verdict.words.removeprefix("better by ") if each.verdict is not None else "-"


def _alike(ahead: Sequence[Standing]) -> list[list[Standing]]:
    """Return arms with those that are ahead in the same, where that makes fewer words: of three or more."""
    groups: dict[tuple[tuple[str, ...], ...], list[Standing]] = {}
    for each in ahead:
        what = tuple(tuple(one.figure for one in found) for found in (each.better, each.undecided))
        groups.setdefault(what, []).append(each)
    return [
        several for group in groups.values() for several in ([group] if len(group) > PAIR else [[one] for one in group])
    ]


def _range_words(comparisons: Sequence[Comparison]) -> str:
    times = sorted(max(each.ratio.ratio, 1 / each.ratio.ratio) for each in comparisons if each.ratio is not None)
    return " to ".join(dict.fromkeys(map(times_words, (times[0], times[-1]))))


def _range_of(comparisons: Sequence[Comparison]) -> str:
    """Say in which figure arms are worse, and by how much they were found to be."""
    return f"{len(comparisons)} in {comparisons[0].title} by {_range_words(comparisons)} times"
