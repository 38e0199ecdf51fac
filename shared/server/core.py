"""
The state of a server that is the same on both backends: its lobby, connections, due times, counters and reports.

A backend's server holds one and adds the waiting. The time comes in as an argument.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic
from urllib.parse import urlsplit

from shared.loops.schedule import DueTick, TickSchedule, shifted_start_us
from shared.measure.counters import Counters
from shared.measure.histogram import Histogram
from shared.measure.ticks import TickStatistics
from shared.rooms.lobby import BUSY, Lobby
from shared.rooms.room import Room
from shared.rooms.roster import L, Roster
from shared.server.config import ServerConfig
from shared.server.frameworks import LAYERS
from shared.server.layer_redis import LayerRedis
from shared.server.score_remote import RemoteScores
from shared.server.score_stores import open_scores
from shared.server.stats import Reporter
from shared.system.descriptors import connections_end, seats_end
from shared.system.heap import OF_AN_ECHO, Heap
from shared.wire.handshake import Refusal, answer_bytes, busy, check_room, check_upgrade
from shared.wire.hosts import authority_host, is_loopback
from shared.wire.stalls import Stalls

NO_DESCRIPTOR = "as many connections are open as the system allows (RLIMIT_NOFILE)"


class ServerCore(Generic[L]):
    """
    A server without its sockets and tasks.

    ``children`` returns the pids of its child processes, ``cpu_us`` the CPU time of this process so far.

    Raises:
        ValueError: the scores file can't be used.

    """

    def __init__(
        self,
        config: ServerConfig,
        now_us: int,
        clock_offset_us: int,
        children: Callable[[], list[int]] = list,
        cpu_us: Callable[[], int] | None = None,
    ) -> None:
        self.config = config
        self.started_us = now_us
        self.counters = Counters()
        self.heap = Heap()
        self.ticks = TickStatistics()
        self.hops = Histogram()
        """From where a room's owner has a frame to where its edge has it, in us."""
        self.stalls = Stalls(now_us, cpu_us)
        self.roster: Roster[L] = Roster(config.limits.max_unnamed)
        self.hosts: frozenset[str] | None = None  # names that it goes by, beside those of loopback; None: any
        self._below: tuple[str, ...] = ()  # ends of others, such as .example.org
        self.schedules: dict[str, TickSchedule] = {}  # by room
        self.scores = open_scores(config.scores, config.lobby.max_rooms)
        self.remote = self.scores if isinstance(self.scores, RemoteScores) else None
        self.lobby: Lobby[L] = Lobby(config.lobby, config.rules, config.seed, self.scores, config.pad_bytes)
        self.redis = LayerRedis(config.layer) if config.layer and LAYERS[config.layer].module else None
        self._children = children
        self.reporter = Reporter(
            config, self.lobby, self.schedules, self.ticks, self.counters, now_us, clock_offset_us, self._pids
        )

    def close(self) -> None:
        """End what it holds beyond memory."""
        self.scores.close()
        if self.redis:
            self.redis.close()

    def listens_at(self, address: str) -> None:
        """
        Note the address at which the server listens.

        On loopback it answers only to names of its own. Else a page could have its own domain name resolve to this
        machine, and read everything as if it came from its own server (DNS rebinding).
        """
        origins = self.config.origins
        if is_loopback(address) and "*" not in origins:
            named = (urlsplit(origin).hostname for origin in origins)
            self.hosts = frozenset(host.removesuffix(".") for host in (self.config.host, *named) if host)
            self._below = tuple(host.removeprefix("*") for host in self.hosts if host.startswith("*."))

    def goes_by(self, authority: str) -> bool:
        """Whether it answers to this Host; an HTTP/1.0 request may have none, but no browser sends such a one."""
        if self.hosts is None or not authority:
            return True
        try:
            host = authority_host(authority)
        except ValueError:
            return False
        return is_loopback(host) or host in self.hosts or host.endswith(self._below)

    def turn_away(self, descriptor: int) -> bytes | None:
        """Return the answer to a connection whose descriptor is among the last ones; None: its request may be read."""
        if descriptor < connections_end():
            return None
        refusal = busy(NO_DESCRIPTOR)
        self.lobby.refused[refusal.status] += 1
        return answer_bytes(refusal)

    def admit(
        self, headers: Mapping[str, str], room_name: str | None, address: str, now_us: int, descriptor: int = -1
    ) -> Refusal | None:
        """
        Take a seat for an upgrade request (``room_name`` None: in no room), or return why not.

        ``descriptor`` is that of its connection. Header names are in lower case. If it returns None, :meth:`release`
        must be called when the connection has ended.
        """
        refusal = (check_room(room_name) if room_name is not None else None) or check_upgrade(
            headers, self.config.origins
        )
        if refusal is None and descriptor >= seats_end():
            refusal = busy(NO_DESCRIPTOR)
        if refusal is None:
            refusal = self.lobby.admit(room_name, address, overloaded=self._is_overloaded(now_us))
        if refusal is None:
            self.counters.accepted += 1
        else:
            self.lobby.refused[refusal.status] += 1
        return refusal

    def refuse_entry(self, now_us: int) -> str | None:
        """Return why nobody may enter a room now, else None: only connections in a room cost the ticks time."""
        return BUSY if self._is_overloaded(now_us) else None

    def add(self, connection: L, now_us: int) -> None:
        """Add a connection to the roster."""
        self.roster.add(connection, self.stalls.running_us(now_us))

    def crowd_out(self, now_us: int) -> list[L]:
        """
        Return those who are to be aborted, as too many connections have given no name.

        Where the server was held up their names may lie unread: then they have a second more.
        """
        gone = self.roster.pop_too_many(self.stalls.running_us(now_us), held_up=self.stalls.is_recent(now_us))
        self.counters.busy_closed += len(gone)
        return gone

    def release(self, room_name: str | None, address: str, now_us: int) -> None:
        """Give a seat back."""
        self.lobby.release(room_name, address, self.stalls.running_us(now_us))
        self.heap.note_end(OF_AN_ECHO if room_name is None else 1)

    def open_room(self, name: str, now_us: int) -> tuple[Room[L], TickSchedule]:
        """Open a room and make its schedule, whose due times are not those of the other rooms."""
        room = self.lobby.room(name)
        epoch_us = self.config.due_epoch_us(self.started_us)
        t0_us = shifted_start_us(room.index, now_us, epoch_us, self.config.tick_rate_hz)
        self.schedules[name] = schedule = TickSchedule(t0_us, self.config.tick_rate_hz)
        return room, schedule

    def forget_room(self, room: Room[L]) -> None:
        """Forget a room that crashed or that nobody is in; the next one of that name is a new one."""
        self.lobby.remove(room)
        self.schedules.pop(room.name, None)
        self.heap.note_end()

    def note_tick(
        self, due: DueTick, sent_us: int, ended_us: int, period_us: float, members: int, skipped: Sequence[Any]
    ) -> None:
        """Note a frame that was sent from ``sent_us`` to ``ended_us``: to all ``members`` of a room but ``skipped``."""
        for member in skipped:
            member.skip(ended_us)
        self.counters.frames_sent += members - len(skipped)
        self.counters.slow_skips += len(skipped)
        self.stalls.running_us(ended_us)  # to notice if it has just stood still
        stood_still = self.stalls.woke_us > due.due_us + due.lateness_us
        self.ticks.record(
            due.due_us, due.lateness_us, due.skipped, sent_us, ended_us, period_us, members, stood_still=stood_still
        )

    def _pids(self) -> list[int]:
        return [*self._children(), *(self.redis.pids() if self.redis else ())]

    def _is_overloaded(self, now_us: int) -> bool:
        budget = self.config.tick_budget
        if not budget:
            return False
        period_us, members = self.config.period_us, len(self.roster.entered) + 1
        return max(self.ticks.load(now_us, period_us), self.ticks.load_of(members, now_us, period_us)) > budget
