"""What ``/stats``, ``/metrics`` and ``/scores`` report: one shape for both backends. Reads no clock, sends nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import msgspec

from shared.config import ServerConfig
from shared.game.world import list_top_scores
from shared.loops.schedule import TickSchedule
from shared.measure.counters import Counters
from shared.measure.process import boot_id, process_report
from shared.measure.prometheus import render_metrics
from shared.measure.ticks import TickStatistics
from shared.rooms.lobby import Lobby


@dataclass(frozen=True, slots=True)
class Reporter:
    """Reads the figures of a server; ``packages`` are those that its stack consists of."""

    config: ServerConfig
    lobby: Lobby[Any]
    schedules: Mapping[str, TickSchedule]  # by room
    ticks: TickStatistics
    counters: Counters
    packages: tuple[str, ...]
    started_us: int
    clock_offset_us: int
    children: Callable[[], list[int]]  # pids of child processes

    def stats(self, now_us: int) -> dict[str, object]:
        """Return everything that the server knows of itself."""
        return {
            "backend": self.config.backend,
            "arm": self.config.arm,
            "version": version("tickbench"),
            "boot_id": boot_id(),
            "clock_offset_us": self.clock_offset_us,
            "started_us": self.started_us,
            "now_us": now_us,
            "tick_rate_hz": float(self.config.tick_rate_hz),
            "settings": self.config.settings(),
            "connections": self.lobby.connections,
            "rooms": [self._room(name) for name in self.lobby.rooms],
            "ticks": self.ticks.report(),
            **self.counters.report(),
            "refused": {str(status): count for status, count in sorted(self.lobby.refused.items())},
            "process": process_report(self.packages, self.children()),
        }

    def stats_json(self, now_us: int) -> bytes:
        """Return the body of ``/stats``."""
        return msgspec.json.encode(self.stats(now_us))

    def metrics_text(self) -> bytes:
        """Return the body of ``/metrics``."""
        return render_metrics(
            self.lobby.connections, self.ticks, self.counters, self.lobby.refused, process_report((), self.children())
        )

    def scores_json(self) -> bytes:
        """Return the body of ``/scores``: the top scores by room, as the ``top_scores`` command lists them."""
        rooms = self.lobby.rooms.values()
        return msgspec.json.encode({"rooms": {room.name: list_top_scores(room.top_scores).rows for room in rooms}})

    def _room(self, name: str) -> dict[str, object]:
        room = self.lobby.rooms[name]
        schedule = self.schedules.get(name)
        return {
            "name": name,
            "n": schedule.n if schedule else 0,  # the tick that comes next
            "t0_us": schedule.t0_us if schedule else None,
            "members": len(room.members),
            "alive": room.living,
            "ticks": room.steps,
            "skipped_ticks": schedule.skipped_ticks if schedule else 0,
        }
