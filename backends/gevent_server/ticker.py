"""Runs and measures one room's ticks: wait for the due time, step, fan out. The loop designs start and end them."""

from shared.edges.owner import Owner
from shared.loops.schedule import DueTick, TickSchedule
from shared.rooms.audience import Audience
from shared.rooms.game import Game
from shared.rooms.room import Room
from shared.wire.forms import World

from .clock import give_turn
from .connection import Connection
from .fanout import SLICE, Fanout
from .host import Host


class Ticker:
    """What every loop design does with a tick; ``owner`` is told of it where the room is one of several processes."""

    def __init__(
        self,
        host: Host,
        room: Room[Connection],
        schedule: TickSchedule,
        fanout: Fanout,
        owner: Owner | None = None,
    ) -> None:
        self.room = room
        self.schedule = schedule
        self.audience: Audience[Connection] = Audience()
        self.fanout = fanout
        self._host = host
        self._owner = owner

    def resume(self) -> None:
        """Go on with the first due time from now on."""
        self.schedule.resume(self._host.clock.now_us())

    def wait(self) -> DueTick:
        """Wait for the next tick to be due and begin it."""
        clock = self._host.clock
        clock.sleep_until(self.schedule.next_due_us)
        while self._owner and not self._owner.may_tick:  # another has the room, which ends it, or it is had back
            clock.sleep_until(clock.now_us() + round(self.schedule.period_us))
        return self.schedule.begin(clock.now_us())

    def tick(self, due: DueTick, game: Game) -> None:
        """Apply one step of a game that runs on the event loop, and send the frame."""
        if self.is_waited_for():  # the field after the last step is what they are told, so before the next
            self.catch_up(game.look())
        step = game.step(self.room.take_inputs())
        self.fan_out(due, self.room.apply(step))

    def is_waited_for(self) -> bool:
        """Whether somebody who has missed a frame could take what it has missed."""
        if self._owner and self._owner.is_state_wanted:
            return True
        return any(member.is_ready for member in self.room.behind())

    def catch_up(self, field: bytes) -> None:
        """Send those who can take it what they have missed; ``field`` is the encoded field after the last step."""
        if self._owner:
            self._owner.send_state(field)
        world = World(field)
        for number, member in enumerate(self.room.behind(), 1):
            if member.is_ready:
                member.catch_up(world)
            if number % SLICE == 0:
                give_turn()

    def fan_out(self, due: DueTick, told: list[Connection]) -> None:
        """Send what the last step did; before that, send ``told`` the messages that their sessions have for them."""
        room, sent_us = self.room, self._host.clock.now_us()
        text = room.frame(due.n, due.due_us, sent_us)
        if self._owner:  # before anybody is waited for: a welcome that comes meanwhile tells of this step already
            self._owner.send_frame(due, sent_us, text)
        self.audience.seat(room.recipients())  # those who come from here on are told of this step as they enter
        for member in told:
            member.flush()
        self._send(due, sent_us, text)

    def hand_on(self, due: DueTick, text: bytes) -> None:
        """Send a frame of another process."""
        self.schedule.follow(due)
        self.audience.seat(self.room.recipients())
        self._send(due, self._host.clock.now_us(), text)

    # Private methods

    def _send(self, due: DueTick, sent_us: int, text: bytes) -> None:
        host, room = self._host, self.room
        skipped = room.skip(self.fanout.send(self.audience, text))
        host.core.note_tick(
            due, sent_us, host.clock.now_us(), self.schedule.period_us, len(self.audience.members), skipped
        )
