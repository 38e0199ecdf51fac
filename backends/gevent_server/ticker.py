"""One room's ticks, measured: wait for the due time, step, fan out. Knows nothing of how a loop is started or ended."""

from typing import TYPE_CHECKING

from backends.gevent_server.connection import Connection
from shared.loops.schedule import DueTick, TickSchedule
from shared.rooms.room import Room

if TYPE_CHECKING:
    from backends.gevent_server.server import Server


class Ticker:
    """What every loop design does with a tick."""

    def __init__(self, server: "Server", room: Room[Connection], schedule: TickSchedule) -> None:
        self.room = room
        self.schedule = schedule
        self._server = server

    def resume(self) -> None:
        """Go on with the first due time from now on."""
        self.schedule.resume(self._server.clock.now_us())

    def wait(self) -> DueTick:
        """Wait for the next tick to be due and begin it."""
        clock = self._server.clock
        clock.sleep_until(self.schedule.next_due_us)
        return self.schedule.begin(clock.now_us())

    def tick(self, due: DueTick) -> None:
        """Apply one step of the rules and tell everybody."""
        clock, room = self._server.clock, self.room
        told = room.step()
        recipients = room.recipients()  # those who come from here on are told of this step as they enter
        for member in told:
            member.flush()
        sent_us = clock.now_us()
        self._server.fanout.send(recipients, room.frame(due.n, due.due_us, sent_us))
        self._server.core.ticks.record(
            due.due_us, due.lateness_us, due.skipped, sent_us, clock.now_us(), self.schedule.period_us
        )
