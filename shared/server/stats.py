"""Makes the bodies of ``/stats``, ``/metrics`` and ``/scores``, the same on both backends."""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any

import msgspec

from shared.game.world import list_top_scores
from shared.loops.schedule import TickSchedule
from shared.measure.counters import Counters
from shared.measure.prometheus import render_metrics
from shared.measure.ticks import TickStatistics
from shared.rooms.lobby import Lobby
from shared.server.config import ServerConfig
from shared.server.frameworks import framework_of, packages_of
from shared.system.boot import boot_id
from shared.system.clock import DueClock
from shared.system.process import OwnProcess
from shared.wire.allowance import Allowance

PAGES_SHARE = 0.1
"""Of a core, on average, that making pages may take from the ticks; requests for more are answered with 429."""
PAGES_SAVED_UP_US = 200_000
"""What may be taken at once after a time without requests: some hundred pages."""


class RoomReport(msgspec.Struct, frozen=True, gc=False):
    """One of the ``rooms`` of ``/stats``."""

    name: str
    n: int
    """The tick that comes next."""
    t0_us: int | None
    members: int
    alive: int
    ticks: int
    skipped_ticks: int


class Reporter:
    """
    Reads the figures of a server.

    What does not change while the server runs is read once, as it is made: pages are made while rooms tick.
    """

    def __init__(
        self,
        config: ServerConfig,
        lobby: Lobby[Any],
        schedules: Mapping[str, TickSchedule],  # by room
        ticks: TickStatistics,
        counters: Counters,
        started_us: int,
        clock_offset_us: int,
        children: Callable[[], list[int]],  # pids of child processes
    ) -> None:
        self.budget = Allowance(PAGES_SHARE * 1_000_000, PAGES_SAVED_UP_US, started_us)  # in microseconds of CPU time
        self.relay: Callable[[], dict[str, object]] | None = None
        """Reports how the relay is, and what goes through it; None where there is none."""
        self._lobby = lobby
        self._schedules = schedules
        self._ticks = ticks
        self._counters = counters
        self._children = children
        framework = framework_of(config.backend, config.framework)
        self._process = OwnProcess(packages_of(config.backend, config.framework, config.layer))
        self._identity: dict[str, object] = {
            "backend": config.backend,
            "arm": config.arm,
            "version": version("tickbench"),
            "boot_id": boot_id() or "",
            "clock_offset_us": clock_offset_us,
            "started_us": started_us,
        }
        self._settings: dict[str, object] = {
            "tick_rate_hz": float(config.tick_rate_hz),
            "settings": config.settings(),
            "in_force": framework.in_force(config.fanout, config.layer),
        }

    def speak_for(self, name: str, packages: Iterable[str], settings: Mapping[str, object]) -> None:
        """Tell of a server of another stack, called ``name``, and not of how ours are built."""
        self._process = OwnProcess(packages)
        self._identity |= {"backend": name, "arm": name}
        self._settings |= {"settings": settings, "in_force": {}}

    def page(self, path: str, clock: DueClock[Any]) -> bytes:
        """Return the body of ``/stats``, ``/metrics`` or ``/scores``; count the time that it took."""
        began_us, began_cpu_us = clock.now_us(), clock.cpu_us()
        body = self.body(path, began_us)
        self.budget.take(clock.cpu_us() - began_cpu_us)
        self._counters.count_page(path, clock.now_us() - began_us)
        return body

    def body(self, path: str, now_us: int) -> bytes:
        """Return the body of a page; of ``/scores`` the top scores by room, as the ``top_scores`` command has them."""
        match path:
            case "/stats":
                return msgspec.json.encode(self.stats(now_us))
            case "/metrics":
                process = self._process.report(self._children())
                connections, refused = self._lobby.connections, self._lobby.refused
                return render_metrics(connections, self._ticks, self._counters, refused, process)
        rooms = self._lobby.rooms.values()
        return msgspec.json.encode({"rooms": {room.name: list_top_scores(room.top_scores).rows for room in rooms}})

    def stats(self, now_us: int) -> dict[str, object]:
        """Return all figures, as in ``/stats``."""
        return {
            **self._identity,
            "now_us": now_us,
            **self._settings,
            "connections": self._lobby.connections,
            "rooms": self._rooms(),
            "ticks": self._ticks.report(),
            **self._counters.report(),
            "refused": {str(status): count for status, count in sorted(self._lobby.refused.items())},
            "process": self._process.report(self._children()),
            **({"relay": self.relay()} if self.relay else {}),
        }

    def _rooms(self) -> list[RoomReport]:
        reports = []
        for name, room in self._lobby.rooms.items():
            schedule = self._schedules.get(name)
            n, t0_us, skipped = (schedule.n, schedule.t0_us, schedule.skipped_ticks) if schedule else (0, None, 0)
            reports.append(RoomReport(name, n, t0_us, len(room.members), room.living, room.steps, skipped))
        return reports
