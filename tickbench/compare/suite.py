"""
Read suites: the TOML files that say what a comparison runs.

A suite is one of those in ``tickbench/suites``, by its name, or a file of the user's. It has three parts: blocks, in
each of which every arm runs once at one load, and which are repeated since verdicts rest on them; sides, which are
other scenarios; and searches for the capacity of each arm.
"""

from collections.abc import Callable
from importlib import resources
from importlib.resources.abc import Traversable
from math import ceil, isclose
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from tickbench.arms import PHASE, Arm, check_commands, parse_arms, spelt_out, with_url
from tickbench.compare.at_once import grouped, number_at_once
from tickbench.compare.figures import FIGURES, MEMORY
from tickbench.compare.slo import parse_slo
from tickbench.errors import InputError
from tickbench.machine.pinning import choose_cores
from tickbench.machine.system import core_siblings, usable_cores
from tickbench.target import without_login

BLOCKS = "blocks"
"""Name of the part of a suite that is repeated; no side or search can have it."""
TOGETHER = "together"
"""Name of what belongs to each block where arms run at once; no side or search can have it."""

IN_ROOMS = ("players", "soak", "deploy", "failover")
"""The scenarios whose users spread over rooms."""
OWN_FLAGS = frozenset(
    {"host", "port", "users", "scenario", "duration", "warm-up", "out", "headless", "json", "slots", PHASE}
)
ACCESS_FLAGS = frozenset({"header", "insecure"})
"""What says how servers are reached that run already."""
ALL_OTHERS = "*"
"""In ``compare``: all arms that it does not name."""
STOP_AFTER = 3
"""After so many runs in a row that the machine spoiled, it is taken to be unfit to measure on."""
LEAST_REPEATS = 3
"""Repeats that a search needs for a verdict on it."""

Identifier = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,40}$")]
PositiveCount = Annotated[int, Meta(ge=1, le=100_000)]
Repeats = Annotated[int, Meta(ge=1, le=100)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
WarmUp = Annotated[float, Meta(ge=0, le=86_400)]
SlotSeconds = Annotated[float, Meta(ge=0, le=60)]
TogetherSeconds = Annotated[float, Meta(ge=0, le=3_600)]
Flags = dict[str, str | int | float]


class Side(Struct, frozen=True):
    """Another scenario beside the blocks, at one load or several."""

    name: Identifier
    scenario: Identifier
    connections: PositiveCount | Annotated[list[PositiveCount], Meta(min_length=1, max_length=20)]
    duration_s: Seconds
    warm_up_s: WarmUp
    repeats: Repeats = 1
    arms: list[str] = []
    """Empty: those of the suite."""
    load: Flags = {}
    """Further flags of the load test."""
    server: Flags = {}
    """Flags of ``serve`` beside the suite's."""
    description: str = ""

    @property
    def loads(self) -> list[int]:
        """The numbers of connections."""
        return self.connections if isinstance(self.connections, list) else [self.connections]


class CapacitySearch(Struct, frozen=True):
    """A search for the most connections at which an objective holds."""

    name: Identifier
    scenario: Identifier
    duration_s: Seconds
    warm_up_s: WarmUp
    slo: str
    budget_s: Seconds
    """Of an arm. About as long as one search may take: then the result is confirmed, and no new load is tried."""
    start: PositiveCount = 500
    limit: PositiveCount = 20_000
    precision: Annotated[float, Meta(gt=1, le=4)] = 1.2
    """The search is done when what fails is at most so many times what holds."""
    slot_s: SlotSeconds = 0.0
    """Each step is a slot of so many seconds on a server whose load rises, the arms in turns; 0: each step is a whole
    run, as in records older than this key, and as with an arm that cannot stand still."""
    repeats: Repeats = 1
    arms: list[str] = []
    load: Flags = {}
    server: Flags = {}
    description: str = ""

    @property
    def in_slots(self) -> bool:
        """Whether its steps are slots, but of arms that tickbench has not started."""
        return self.slot_s > 0

    @property
    def loads(self) -> list[int]:
        """The number of connections that it begins with; the others are found out."""
        return [self.start]


class Suite(Struct, frozen=True):
    """What is run: every arm ``repeats`` times at one load, the sides, the searches."""

    name: Identifier
    arms: list[str]
    scenario: Identifier
    connections: PositiveCount
    duration_s: Seconds
    warm_up_s: WarmUp
    repeats: Repeats
    seed: int
    slot_s: SlotSeconds = 0.0
    """A block measures its arms side by side, ``duration_s`` of each in slots of so many seconds; 0: one after the
    other, each in a whole run, as in records older than this key."""
    together_s: TogetherSeconds = 0.0
    """Of each block so many seconds, in slots of ``slot_s``, in which the arms that verdicts are about run at once,
    their ticks staggered: what their ratios rest on; 0: these rest on what is measured of each alone, as in records
    older than this key. Where they cannot run at once, each arm is measured alone for so much longer."""
    description: str = ""
    server: Flags = {}
    """Flags of ``serve`` for all arms."""
    server_cores: Annotated[int, Meta(ge=0, le=4096)] = 1
    """How many cores the server of an arm has, if there are so many; 0: all but the generator's."""
    load: Flags = {}
    """Further flags of the load test in the blocks."""
    memory_blocks: Annotated[int, Meta(ge=0, le=100)] = 0
    """In how many blocks, the first ones, memory is weighed if ``load`` asks for it: it scatters little, and weighing
    takes longer than all else but the slots; 0: in all."""
    again: str | None = None
    """The arm that runs twice in each block: how far it differs from itself is what noise looks like here."""
    compare: Annotated[list[str], Meta(max_length=40)] = []
    """The arms that verdicts are about: of each of the others to the first, ``*`` being all that are not named. Ratios
    of all other arms are to the first, too."""
    at_once: list[str] = []
    """Of ``compare`` those that run at once, if ``together_s`` asks for it; empty: all of them."""
    verdicts: Annotated[list[str], Meta(max_length=6)] = []
    """The figures that verdicts are drawn on."""
    may_end_early: bool = False
    """Whether it ends after half of the blocks where these decide every verdict, at a level that allows for the look
    (:mod:`tickbench.compare.early_end`)."""
    quiet_wait_s: Annotated[float, Meta(ge=0, le=3_600)] = 20.0
    """How long a run waits at most for a machine that is busy; 0: it does not look."""
    max_attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    """How often a run is made at most, if the machine spoils it; 1: it is not made again."""
    stop_after: Annotated[int, Meta(ge=0, le=100)] = 0
    """After so many runs in a row that the machine spoiled the comparison stops; 0: never, as in records older than
    this key. A suite without it has :data:`STOP_AFTER`."""
    sides: list[Side] = []
    searches: list[CapacitySearch] = []
    commands: dict[str, str] = {}
    """Command lines of other servers, by the name of their arm."""

    @property
    def loads(self) -> list[int]:
        """The number of connections in the blocks."""
        return [self.connections]

    @property
    def blocks_before_look(self) -> int:
        """How many blocks decide whether it ends early, if it may."""
        return ceil(self.repeats / 2)

    @property
    def runs_per_block(self) -> int:
        """How many runs a block has: one of each arm, and a second of ``again``."""
        return len(self.arms) + (self.again is not None)

    @property
    def in_slots(self) -> bool:
        """Whether blocks are in slots: asked for, and tickbench may stop every server, as it has started them all."""
        return self.slot_s > 0 and all(arm.may_stand_still for arm in self.parsed_arms())

    @property
    def groups(self) -> list[list[str]]:
        """
        The arms that run at once in each block, group by group: those that verdicts are about, or all without any.

        Empty if none do: where it is not asked for, where one of them cannot be told when its ticks are due, where
        there are too many, or where each has rooms, whose ticks are all over a period.

        """
        if not self.in_slots or not self.together_s or self.has_rooms:
            return []
        compared = self.at_once or self.compare
        needed = {*compared, *([self.again] if self.again is not None else [])} if compared else {*self.arms}
        arms = [arm for arm in self.parsed_arms() if arm.name in needed]
        if not all(arm.takes_phase for arm in arms):
            return []
        return grouped([arm.name for arm in arms], self.compare[0] if self.compare else None, self.again)

    @property
    def run_together(self) -> list[str]:
        """All arms that run at once with others in each block, in the suite's order."""
        return [
            name for name in (arm.name for arm in self.parsed_arms()) if any(name in group for group in self.groups)
        ]

    @property
    def number_at_once(self) -> int:
        """How many servers run at once, or were to if that were not too many."""
        names = [name for group in self.groups[:1] for name in group] or self.at_once or self.compare or self.arms
        return number_at_once(names, self.again)

    @property
    def times_at_once(self) -> dict[str, int]:
        """How many runs each arm has in a block that are made at once with others."""
        names = [name for group in self.groups for name in group]
        return {name: names.count(name) + (name == self.again) for name in names}

    @property
    def has_rooms(self) -> bool:
        """Whether the load of the blocks is spread over several rooms."""
        return self.scenario in IN_ROOMS or bool(self.load.get("room-size"))

    @property
    def alone_s(self) -> float:
        """How many seconds each arm is measured alone in a block: for longer where nothing runs together."""
        return self.duration_s if self.groups else self.duration_s + self.together_s

    @property
    def parts(self) -> "list[Part]":
        """The blocks, which the suite itself describes, the sides and the searches."""
        return [self, *self.sides, *self.searches]

    def parsed_arms(self) -> list[Arm]:
        """Return the arms, in the suite's order; raise :class:`InputError` if one is malformed."""
        return parse_arms(self.arms, self.commands)

    def with_urls(self, change: Callable[[str], str]) -> "Suite":
        """Return the suite with the URL of each ``url=`` arm changed, in all its parts."""
        changed = [
            msgspec.structs.replace(part, arms=[with_url(arm, change) for arm in part.arms]) for part in self.parts
        ]
        return msgspec.structs.replace(
            self,
            arms=changed[0].arms,
            again=None if self.again is None else with_url(self.again, change),
            compare=[with_url(arm, change) for arm in self.compare],
            at_once=[with_url(arm, change) for arm in self.at_once],
            sides=[part for part in changed if isinstance(part, Side)],
            searches=[part for part in changed if isinstance(part, CapacitySearch)],
        )

    def arms_of(self, part: "Part") -> list[Arm]:
        """Return the arms of a part, in its order."""
        return parse_arms(part.arms, self.commands) if part.arms else self.parsed_arms()

    def check(self) -> None:
        """Raise :class:`InputError` if its parts do not fit together."""
        check_commands(self.commands)
        names = {arm.name for arm in self.parsed_arms()}
        for arm in [*self.compare, *([self.again] if self.again is not None else [])]:
            if arm not in names:
                raise InputError(f"{arm!r} is none of its arms; 'again' and 'compare' name arms of the suite")
        if self.compare and not len(set(self.compare)) == len(self.compare) >= 2:
            raise InputError("'compare' takes two different arms or more, such as ['asyncio', 'gevent']")
        if self.at_once and not {self.compare[0] if self.compare else ""} <= set(self.at_once) <= set(self.compare):
            raise InputError("'at_once' names arms of 'compare', the first of these among them")
        self._check_slots()
        self._check_verdicts()
        self._check_parts()

    def _check_slots(self) -> None:
        for key, seconds in (("duration_s", self.duration_s), ("together_s", self.together_s or self.slot_s)):
            slots = seconds / self.slot_s if self.slot_s else 1.0
            if not isclose(slots, max(1, round(slots))):
                raise InputError(
                    f"{seconds:g} s cannot be cut into slots of {self.slot_s:g} s; let {key!r} be a multiple of "
                    "'slot_s', such as 10 and 2"
                )
        if self.together_s and not self.slot_s:
            raise InputError("'together_s' needs a 'slot_s': arms run together in slots")

    def _check_verdicts(self) -> None:
        drawn_on = [figure.key for figure in FIGURES if figure.better]
        for figure in self.verdicts:
            if figure not in [*drawn_on, *(search.name for search in self.searches)]:
                raise InputError(f"verdict on {figure!r}: no such figure or search; known are {', '.join(drawn_on)}")
        if MEMORY in self.verdicts and not self.load.get("memory"):
            raise InputError(f"a verdict on {MEMORY!r} needs load = {{ memory = 1000 }}, or it is not measured")
        if MEMORY in self.verdicts and 0 < self.memory_blocks < LEAST_REPEATS:
            raise InputError(
                f"a verdict on {MEMORY!r} needs {LEAST_REPEATS} blocks in which it is weighed; memory_blocks ="
                f" {self.memory_blocks} is too few"
            )
        if len(set(self.verdicts)) < len(self.verdicts):
            raise InputError("'verdicts' has a figure twice")
        if self.verdicts and not (self.compare and self.again):
            raise InputError("'verdicts' need 'compare', the two arms, and 'again', the arm that shows the noise")
        if self.may_end_early:
            self._check_early_end()

    def _check_early_end(self) -> None:
        if self.repeats < 2 * LEAST_REPEATS or not self.verdicts:
            raise InputError(
                f"'may_end_early' needs 'verdicts' that decide it, and {2 * LEAST_REPEATS} repeats at least, of which "
                "half may be the end"
            )
        if searched := [name for name in self.verdicts if name in {search.name for search in self.searches}]:
            raise InputError(
                f"'may_end_early' and a verdict on the search {searched[0]!r} do not go together: that is not decided "
                "by the blocks; leave one of them out"
            )

    def _check_parts(self) -> None:
        names = [BLOCKS, TOGETHER, *(figure.key for figure in FIGURES), *(part.name for part in self.parts[1:])]
        for part in self.parts[1:]:
            if names.count(part.name) > 1:
                raise InputError(
                    f"the name {part.name!r} is given twice, or it is {BLOCKS!r} or {TOGETHER!r}; each part needs its "
                    "own"
                )
            self.arms_of(part)
        for search in self.searches:
            parse_slo(search.slo)
            if search.start > search.limit:
                raise InputError(f"search {search.name!r} starts at {search.start}, beyond its limit {search.limit}")
            if beyond := {arm.name for arm in self.arms_of(search)} - {arm.name for arm in self.parsed_arms()}:
                raise InputError(f"search {search.name!r} has {min(beyond)!r}, which is none of the suite's arms")
            if search.name in self.verdicts:
                self._check_capacity_verdict(search)
        for part in self.parts:
            _check_flags(part.server | part.load)

    def _check_capacity_verdict(self, search: CapacitySearch) -> None:
        if search.repeats < LEAST_REPEATS or not set(self.compare) <= {arm.name for arm in self.arms_of(search)}:
            raise InputError(
                f"a verdict on {search.name!r} needs {LEAST_REPEATS} repeats of its search at least, of both arms that "
                "'compare' names"
            )


Part = Suite | Side | CapacitySearch


def _check_flags(flags: Flags) -> None:
    """Raise :class:`InputError` for a flag that the comparison itself sets; servers and load test check the others."""
    if reached := sorted(ACCESS_FLAGS & flags.keys()):
        raise InputError(f"flag {reached[0]!r} is for url= arms, and is kept in no result; give it to compare itself")
    if own := sorted(OWN_FLAGS & flags.keys()):
        raise InputError(f"flag {own[0]!r} is set by the comparison itself; leave it out")


def load_suite(name_or_path: str, take_login: Callable[[str], str] = without_login) -> Suite:
    """
    Read a suite; raise :class:`InputError` if there is none, or it is not well formed.

    ``take_login`` gets the URL of each ``url=`` arm, and returns it without a user and a password.

    """
    source = _find(name_or_path)
    try:
        text = source.read_bytes()
        given = msgspec.toml.decode(text, type=dict[str, Any])
        _refuse_unknown(given)
        suite = _spelt_out(msgspec.toml.decode(text, type=Suite)).with_urls(take_login)
        if "stop_after" not in given:
            suite = msgspec.structs.replace(suite, stop_after=STOP_AFTER)
        suite.check()
    except OSError as error:
        raise InputError(f"suite {name_or_path!r} cannot be read ({error.strerror}); give a readable file") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"suite {name_or_path!r}: {_one_line(error)}; tickbench/suites/quick.toml is a model"
        ) from error
    except InputError as error:
        raise InputError(f"suite {name_or_path!r}: {error}") from error
    return suite


def _spelt_out(suite: Suite) -> Suite:
    """Return the suite with an arm for each number of processes, and all others where ``compare`` has ALL_OTHERS."""
    server = choose_cores(usable_cores(), core_siblings, suite.server_cores).server or [0]
    arms = [arm for name in suite.arms for arm in spelt_out(name, len(server))]
    suite = msgspec.structs.replace(suite, arms=arms)
    others = (
        [arm.name for arm in suite.parsed_arms() if arm.name not in suite.compare]
        if ALL_OTHERS in suite.compare
        else []
    )
    compare = [each for name in suite.compare for each in (others if name == ALL_OTHERS else [name])]
    return msgspec.structs.replace(suite, compare=compare)


def suite_names() -> list[str]:
    """List the suites that come with tickbench."""
    return sorted(entry.name.removesuffix(".toml") for entry in _built_in().iterdir() if entry.name.endswith(".toml"))


def _refuse_unknown(given: dict[str, Any]) -> None:
    """Raise :class:`InputError` for an unknown key. A record may have some that a later tickbench has added."""
    tables: list[tuple[Any, type[Struct]]] = [(given, Suite)]
    parts: dict[str, type[Struct]] = {"sides": Side, "searches": CapacitySearch}
    for name, part in parts.items():
        tables += [(table, part) for table in given.get(name, []) if isinstance(table, dict)]
    for table, struct in tables:
        known = struct.__struct_fields__
        if unknown := [key for key in table if key not in known]:
            raise InputError(f"there is no key {unknown[0]!r}; known are {', '.join(known)}")


def _find(name_or_path: str) -> Traversable:
    if name_or_path in suite_names():
        return _built_in() / f"{name_or_path}.toml"
    path = Path(name_or_path)
    if path.suffix != ".toml" or not path.is_file():
        known = ", ".join(suite_names())
        raise InputError(f"there is no suite {name_or_path!r}; known are {known}, or give a file that ends in .toml")
    return path


def _built_in() -> Traversable:
    return resources.files("tickbench.suites")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
