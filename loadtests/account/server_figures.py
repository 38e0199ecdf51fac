"""
Computes what a server did between two answers of its /stats, without values that are impossible.

All arithmetic on a server's numbers is done here: whatever it answers, no figure is below zero, and what is not
believed is named in words.
"""

from collections.abc import Collection
from typing import Any, NamedTuple, TypeVar

from loadtests.account.room_ticks import ServerSkips
from loadtests.surroundings.server_stats import ServerStats
from shared.measure.histogram import Histogram
from shared.measure.quota import Quota, throttled_between
from shared.measure.summary import ServerFigures, ServerTicks

CLOCK_PERCENT = 1.0
"""How far the server's clock may be off ours, of the time between two answers ..."""
CLOCK_S = 0.1
"""... and beside that."""
CPU_PERCENT = 20.0
"""How much more CPU time a process may state than its cores had: it adds that of children as they end ..."""
CPU_S = 0.5
"""... and beside that."""
MANY_CORES = 4096
"""As many cores as a server may have that does not say which it has."""


Amount = TypeVar("Amount", int, float)


class Frames(NamedTuple):
    """What a run got of a server's frames."""

    per_second: float
    are_all: bool = True
    """Whether nobody else got any."""
    are_ticks: bool = True
    """Whether they are those that the server counts."""
    at_least: int = 0
    """How many, at least, were sent between the two answers."""


class Between:
    """The figures for the time from ``before`` to ``after``; see :attr:`doubts` after the calls."""

    def __init__(self, before: ServerStats, after: ServerStats) -> None:
        self.doubts: list[str] = []
        """What was not believed, in words."""
        self._before = before
        self._after = after
        self.is_same_process = before.process.pid == after.process.pid
        if not self.is_same_process:
            pids = f"process {before.process.pid}, then {after.process.pid}"
            self.doubts.append(f"another process answers ({pids}): it was started anew, or there are several")
        self.elapsed_s = self._elapsed_s() if self.is_same_process else None
        """By the server's own clock; None where that disagrees with ours."""

    def growth(self, name: str, before: Amount, after: Amount) -> Amount | None:
        """Return the growth of a count that only goes up; None where it went down, or is another process's."""
        if not self.is_same_process:
            return None
        if after < before:
            self.doubts.append(f"{name} went back from {before:g} to {after:g}")
            return None
        return after - before

    def cpu_share(self) -> float | None:
        """Return how many cores the process took, 1.0 being one; None where that is not known."""
        process = self._after.process
        cpu_s = self.growth("process.cpu_s", self._before.process.cpu_s, process.cpu_s)
        if cpu_s is None or self.elapsed_s is None:
            return None
        cores = len(set(process.cpus)) if process.cpus else MANY_CORES
        if cpu_s > (1 + CPU_PERCENT / 100) * cores * self.elapsed_s + CPU_S:
            self.doubts.append(f"process.cpu_s went up by {cpu_s:g} in {self.elapsed_s:.1f} s on {cores} cores")
            return None
        return cpu_s / self.elapsed_s

    def ticks(self) -> ServerTicks | None:
        """Return the tick figures."""
        old, new = self._before.ticks, self._after.ticks
        names = ("count", "skipped_ticks", "overruns")
        figures: dict[str, Any] = {
            name: self.growth(f"ticks.{name}", getattr(old, name), getattr(new, name)) for name in names
        }
        if None in figures.values():
            return None
        try:
            for name in ("start_lateness_ms", "compute_ms", "fanout_ms"):
                before, after = (Histogram.from_summary(getattr(ticks, name)) for ticks in (old, new))
                figures[name] = after.since(before).summary()
        except ValueError as error:
            self.doubts.append(f"ticks: {error}")
            return None
        return ServerTicks(**figures)

    def skips(self) -> dict[str, ServerSkips]:
        """Return what the server says that it skipped, for each room that was there all the time."""
        if not self.is_same_process:
            return {}
        earlier = {room.name: room for room in self._before.rooms}
        said = {}
        for room in self._after.rooms:
            old = earlier.get(room.name)
            if old is None or room.n < old.n or room.skipped_ticks < old.skipped_ticks:
                continue  # where its counts went back, it was removed and created anew in between
            number, due = room.skipped_ticks - old.skipped_ticks, room.n - old.n
            if number > due:
                self.doubts.append(f"skipped_ticks of room {room.name} went up by {number}, its n by {due}")
            else:
                said[room.name] = ServerSkips(old.n, room.n, number)
        return said

    def frames_sent(self, frames: Frames) -> int | None:
        """Return how many tick frames it sent to all its clients; None where it does not tell, or is not believed."""
        before, after = self._before.frames_sent, self._after.frames_sent
        sent = None if before is None or after is None else self.growth("frames_sent", before, after)
        if sent is not None and sent < frames.at_least:
            self.doubts.append(f"frames_sent went up by {sent:,} while {frames.at_least:,} came")
            return None
        return sent

    def cpu_us_per_frame(self, cpu_share: float | None, sent: int | None, frames: Frames) -> float | None:
        """Return CPU microseconds per frame sent or, if nobody else got any, per frame that came; None if not known."""
        if cpu_share is None or self.elapsed_s is None:
            return None
        if sent and frames.are_ticks:
            return 1e6 * cpu_share * self.elapsed_s / sent
        return 1e6 * cpu_share / frames.per_second if frames.per_second and frames.are_all else None

    def skipped_ticks(self, rooms: Collection[str] | None) -> int | None:
        """Return the due times skipped in ``rooms``, if each of them was there all the time, else in all rooms."""
        old, new = self._before.ticks, self._after.ticks
        of_all = self.growth("ticks.skipped_ticks", old.skipped_ticks, new.skipped_ticks)
        skips = self.skips()
        if not rooms or not skips.keys() >= set(rooms):
            return None if any(doubt.startswith("skipped_ticks") for doubt in self.doubts) else of_all
        return sum(skips[room].number for room in rooms)

    def throttled(self) -> list[Quota]:
        """Return how far CPU quotas held the server back, as it says."""
        if not self.is_same_process:
            return []
        return throttled_between(self._before.process.quotas, self._after.process.quotas)

    def _elapsed_s(self) -> float | None:
        before, after = self._before, self._after
        elapsed_s = (after.now_us - before.now_us) / 1e6
        # Each answer is of some time between the question and its arrival.
        least_s, most_s = after.asked_s - before.answered_s, after.answered_s - before.asked_s
        off_s = CLOCK_S + CLOCK_PERCENT / 100 * max(0.0, most_s)
        if not least_s - off_s <= elapsed_s <= most_s + off_s:
            self.doubts.append(f"now_us went on by {elapsed_s:.3f} s in {most_s:.3f} s of ours")
            return None
        return elapsed_s if elapsed_s > 0 else None


def figures_between(
    before: ServerStats, after: ServerStats, frames: Frames, rooms: Collection[str] | None = None
) -> tuple[ServerFigures, list[str]]:
    """
    Return the server's figures from ``before`` to ``after``, and what was not believed, in words.

    ``rooms`` are those of the run, None where they are not known.

    """
    between = Between(before, after)
    cpu_share = between.cpu_share()
    sent = between.frames_sent(frames)
    figures = ServerFigures(
        cpu_percent=None if cpu_share is None else 100 * cpu_share,
        rss_bytes=after.process.rss_bytes if between.is_same_process else None,
        cpu_us_per_frame=between.cpu_us_per_frame(cpu_share, sent, frames),
        ticks=between.ticks(),
        skipped_ticks=between.skipped_ticks(rooms),
        slow_skips=between.growth("slow_skips", before.slow_skips, after.slow_skips),
        slow_closed=between.growth("slow_closed", before.slow_closed, after.slow_closed),
        frames_sent=sent,
    )
    return figures, list(dict.fromkeys(between.doubts))
