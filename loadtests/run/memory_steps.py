"""
Weighs a connection: after the window more connect in steps, and server and workers say what memory they hold.

Nothing else is measured then, so it disturbs nothing. Where no weight can be found, the summary says why.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from msgspec.structs import replace

from loadtests.account.memory_slope import STEPS, Plateau, memory_figures
from loadtests.options import LoadOptions
from loadtests.run.workers import Workers
from loadtests.surroundings.server_stats import ServerStats
from shared.measure.summary import LoadSummary

POLL_S = 0.05
SETTLE_S = 0.3
"""How long to wait when all of a step have got their first tick frame: several ticks at 20 Hz."""
LIMIT_S = 45.0
"""How long all the steps together may take."""
FEW = 50
"""
So many connections may have come and gone before the run: the memory that they left free is half of a step, and such
steps are trimmed. Of more it can't be told how much of it the users of this run took in.
"""

GENERATOR_PERCENT = 25.0
"""As :data:`~loadtests.account.memory_slope.WIDEST_PERCENT`, for the workers: their logs of frames come and go."""

NOT_TOLD = "the server has no /stats that tell its memory"


def weigh(
    summary: LoadSummary,
    options: LoadOptions,
    workers: Workers,
    base: ServerStats | None,
    ask: Callable[[], ServerStats | None],
) -> LoadSummary:
    """
    Return the summary with the memory of a connection; takes :data:`LIMIT_S` at most, and closes all extra connections.

    Args:
        options: says how many extra connections come, and at which spawn rate.
        base: the server's /stats before the first connection, None if it has none.
        ask: returns its /stats now, None where it does not answer.

    """
    steps = _Steps(options, workers, base, ask)
    try:
        why_not = steps.why_not_begin() or steps.make_steps()
    finally:
        workers.bring(0)
    of_server = memory_figures(steps.server, why_not)
    of_generator = memory_figures(steps.generator, why_not or steps.why_not_generator(), GENERATOR_PERCENT)
    changes = {
        name: replace(figures, rss_per_connection_bytes=weight.value, memory=weight.figures)
        for name, figures, weight in (
            ("server", summary.server, of_server),
            ("generator", summary.generator, of_generator),
        )
    }
    return replace(summary, **changes)


@dataclass
class _Steps:
    options: LoadOptions
    workers: Workers
    base: ServerStats | None
    ask: Callable[[], ServerStats | None]
    server: list[Plateau] = field(default_factory=list)
    generator: list[Plateau] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._deadline_s = time.monotonic() + LIMIT_S
        self._users_up = sum(report.up for report in self.workers.reports())

    def why_not_begin(self) -> str:
        """Take the first plateau; return why steps would be of no use, empty where they are of use."""
        if self.options.scenario.path is not None:
            return f"connections of the scenario {self.options.scenario_name} are no spectators"
        if self.base is None:
            return NOT_TOLD
        return self._look() or self._why_not_fresh()

    def make_steps(self) -> str:
        """Let extra connections come, step by step; return why that failed, empty where it did not."""
        for step in range(1, STEPS + 1):
            wanted = self.options.extra_connections * step // STEPS
            self.workers.bring(wanted)
            while sum(report.extra_settled for report in self.workers.reports()) < wanted:
                if time.monotonic() > self._deadline_s:
                    return f"to let in {self.options.extra_connections} more took longer than {LIMIT_S:g} s"
                if why := self.workers.failed():
                    return why
                gevent.sleep(POLL_S)
            up = sum(report.extra_up for report in self.workers.reports())
            if up < wanted:
                why = "; ".join(words for report in self.workers.reports() if (words := report.why_no_extra))
                return f"of {wanted} more {up} are in: {why}"
            gevent.sleep(SETTLE_S)
            if why := self._look():
                return why
        return ""

    def why_not_generator(self) -> str:
        """Return why the memory of a connection in the workers can't be known, empty where it can."""
        if any(report.had_extra for report in self.workers.reports()):
            return "this generator has had another run before"
        return ""

    def _look(self) -> str:
        """Take down a plateau; return why that can't be done, empty where it can."""
        now = self.ask()
        if now is None or self.base is None:
            return "the server did not answer GET /stats"
        if now.process.pid != self.base.process.pid:
            return f"process {self.base.process.pid} answered before the run, and now {now.process.pid}"
        self._accepted = now.accepted
        self.server.append(Plateau(now.connections, now.process.rss_bytes))
        reports = self.workers.reports()
        mine = self._users_up + sum(report.extra_up for report in reports)
        self.generator.append(Plateau(mine, sum(report.rss_bytes for report in reports)))
        return ""

    def _why_not_fresh(self) -> str:
        """Say which closed connections left more memory free than a step takes, empty where none did."""
        base, up = self.base, self.server[0].connections
        assert base is not None  # noqa: S101 - there is a plateau
        if base.accepted is None and (base.connections or base.ticks.count):
            return "it is not known whom the server had served before: its /stats have no accepted"
        earlier = 0 if base.accepted is None else base.accepted - base.connections
        if earlier > FEW:
            return (
                f"{earlier} connections had come and gone before this run, and what they left free takes in the next: "
                "start the server anew"
            )
        came = self._users_up if self._accepted is None or base.accepted is None else self._accepted - base.accepted
        gone = base.connections + came - up
        if gone > self.options.extra_connections / STEPS:
            return f"{gone} have left in this run, and what they left free takes in the next"
        return ""
