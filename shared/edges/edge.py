"""
An edge's side of a room over processes: who is there, what they say to the owner, and what becomes of what it says.

An edge has no game. It hands the owner's frames on as they come; once it has missed one, all its members are behind, as
one is who reads too slowly, until the owner has told how the room is.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from shared.edges.posts import (
    HERE_S,
    NEW_OWNER,
    NO_RELAY,
    NOT_KNOWN,
    SILENCE_S,
    Enter,
    Here,
    Join,
    Leave,
    Missed,
    Owned,
    Told,
    Turn,
    Welcomed,
    said_by_owner,
    seal,
)
from shared.edges.standing import Standing
from shared.relay.bus import Down, Lagged, Message, Up
from shared.rooms.game import Newcomer, Stepped
from shared.rooms.room import Member, MemberSession
from shared.wire.frames import CloseCode
from shared.wire.messages import ClientMessage, JoinRequest, Key, NewPlayer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.edges.posts import Frame, FromOwner, State, ToOwner
    from shared.relay.bus import Event
    from shared.rooms.room import Room

HERE_US = round(HERE_S * 1_000_000)
SILENCE_US = round(SILENCE_S * 1_000_000)


class RoomLostError(Exception):
    """The room has to end here; ``code`` is what its members are closed with."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class EdgeSession(MemberSession, Protocol):
    """The session of a connection of this process."""

    def close(self, code: int, reason: str, now_us: int) -> None:
        """Close it from our side."""


class EdgeMember(Member, Protocol):
    """A connection of this process; ``serial`` is never given to another one."""

    serial: int

    @property
    def session(self) -> EdgeSession:
        """Its session."""

    def offer(self, fd: int) -> None:
        """Let ticks' frames be written to ``fd``; none if it is -1."""

    def skip(self, now_us: int) -> None:
        """Note that a tick was skipped for it."""


C = TypeVar("C", bound=EdgeMember)


class Edge(Generic[C]):
    """
    One room at an edge; ``me`` is what the owner calls it by, ``number`` that of the owner's lease.

    ``publish`` sends bytes in the edges' channel. Whoever waits for what comes hands it to :meth:`hear`, does what is
    said there, and then has :meth:`look` look around, at least every :data:`HERE_S`. ``running_us`` is the time in
    which this server ran: what could not be heard meanwhile is no silence.
    """

    def __init__(self, room: Room[C], me: bytes, number: int, publish: Callable[[bytes], object]) -> None:
        self.room = room
        self.is_lost = False
        """Whether frames are missing: then none is handed on."""
        self.wants_state = False
        self.resyncs = 0
        self._me = me
        self._number = number
        self._publish = publish
        self._numbers = itertools.count(1)
        self._serials: dict[int, int] = {}  # those that the owner knows, by those of the connections
        self._waiting: dict[int, tuple[C, str]] = {}
        self._members: dict[int, C] = {}
        self._unwelcomed: set[int] = set()  # those waiting whose welcome was missed, or came among frames that were
        self._standing: Standing | None = None  # None: nobody has been welcomed yet
        self._here_at_us = 0  # when to say next who is here
        self._gone_at_us: int | None = None  # since when the relay is gone

    # What the owner is told

    def say(self, member: C, message: ClientMessage) -> None:
        """Pass on what a connection says; a newcomer waits from here on."""
        if isinstance(message, NewPlayer):
            self._enter(member, message.name)
        elif serial := self._serials.get(member.serial):
            match message:
                case JoinRequest():
                    self._post(Join(serial))
                case Key(code):
                    self._post(Turn(serial, code))

    def leave(self, member: C) -> None:
        """Let go of a connection."""
        if serial := self._serials.pop(member.serial, None):
            self._waiting.pop(serial, None)
            self._members.pop(serial, None)
            self._post(Leave(serial))

    def say_who_is_here(self) -> None:
        """Tell the owner, and ask for what is wanted of it."""
        waiting = [(serial, name) for serial, (_, name) in self._waiting.items()]
        self._post(Here(list(self._members), waiting, self.wants_state))

    # What has come

    def hear(self, event: Event | None, now_us: int, running_us: int) -> FromOwner | None:
        """Take what has come, if anything has; return what the owner says. RoomLostError: there is a new one."""
        match event:
            case Message(payload) if (found := said_by_owner(payload)) is not None:
                number, post = found
                if self.has_new_owner(number):
                    raise RoomLostError(CloseCode.SERVICE_RESTART, NEW_OWNER)
                return post if self.is_of_owner(number) else None
            case Lagged() | Up():
                self._gone_at_us = None
                self.miss(now_us)
            case Down() if self._gone_at_us is None:
                self._gone_at_us = running_us
        return None

    def look(self, running_us: int) -> None:
        """Say who is here, as often as that is due. RoomLostError: the relay is gone for too long."""
        if self._gone_at_us is not None and running_us - self._gone_at_us > SILENCE_US:
            raise RoomLostError(CloseCode.TRY_AGAIN_LATER, NO_RELAY)
        if running_us >= self._here_at_us:
            self._here_at_us = running_us + HERE_US
            self.say_who_is_here()

    def is_of_owner(self, number: int) -> bool:
        """Say whether something with this number is of the owner, and not of an older one."""
        return number == self._number

    def has_new_owner(self, number: int) -> bool:
        """Say whether this number is that of a newer owner, whose game is another one."""
        return number > self._number

    def miss(self, now_us: int) -> None:
        """Take it that frames may be missing: everybody is behind until the owner has told its state."""
        self.is_lost = True
        self._unwelcomed |= self._waiting.keys()  # their welcomes may be what is missing
        if self._members:
            self.ask_for_state()
        else:
            self._go_on()
        for member in self._members.values():
            member.offer(-1)
            member.skip(now_us)

    def ask_for_state(self) -> None:
        """Ask the owner how the room is, once until it says so."""
        if not self.wants_state:
            self.wants_state = True
            self.say_who_is_here()

    def take_frame(self, frame: Frame) -> bool:
        """Take what a frame's step did; say whether it is to be handed on."""
        if self.is_lost or self._standing is None:
            return False
        self._standing.note(frame.news)
        self.room.apply(Stepped(b"[]", frame.news, [], None, frame.living))
        return True

    def take_state(self, state: State) -> None:
        """Take how the room is: who missed frames is to be told what came of them, and the field."""
        self.wants_state = False
        if not self.is_lost:
            return  # it was asked for somebody who reads too slowly
        self._go_on()
        self.resyncs += 1
        now = Standing(state.standing)
        news = now.news_since(self._standing or now)
        self._standing = now
        self.room.apply(Stepped(b"[]", news, [], None, self.room.living))
        self.room.skip(self._members.values())

    def take_other(self, post: FromOwner, now_us: int) -> list[C]:
        """Take what is neither a frame nor the room's state; return those of our members who have something to send."""
        match post:
            case Welcomed():
                newcomer = self.take_welcome(post, now_us)
                return [] if newcomer is None else [newcomer]
            case Told(edge, serial, text) if (member := self.member(edge, serial)) is not None:
                member.session.send(text)
                return [member]
            case Owned():
                strangers = list(self.strangers(post))
                for stranger in strangers:
                    stranger.session.close(CloseCode.SERVICE_RESTART, NOT_KNOWN, now_us)
                return strangers
            case Missed():
                self.miss(now_us)
        return []

    def take_welcome(self, post: Welcomed, now_us: int) -> C | None:
        """Let a newcomer in, and return it; None if it is none of ours, or has to be welcomed anew."""
        if post.edge != self._me:
            return None
        waiting = self._waiting.get(post.serial)
        if waiting is None:
            if post.serial not in self._members:
                self._post(Leave(post.serial))  # it has gone meanwhile
            return None
        if self.is_lost and self._members:
            self._unwelcomed.add(post.serial)  # the frames behind this welcome are not handed on
            return None
        del self._waiting[post.serial]
        if self.is_lost:  # there is nobody left who has missed anything
            self._go_on()
        member = waiting[0]
        self._standing = Standing(post.standing)
        self.room.enter(member, Newcomer(post.player_id, post.name), post.text, now_us)
        self._members[post.serial] = member
        return member

    def member(self, edge: bytes, serial: int) -> C | None:
        """Return the member that is meant, if it is one of ours."""
        return self._members.get(serial) if edge == self._me else None

    def strangers(self, post: Owned) -> Iterator[C]:
        """Yield those of our members whom the owner does not have: they are to be closed."""
        for edge, serial in post.strangers:
            if (member := self.member(edge, serial)) is not None:
                yield member

    # Private methods

    def _go_on(self) -> None:
        """Hand frames on from here on; ask again for welcomes that were missed."""
        self.is_lost = False
        for serial in sorted(self._unwelcomed & self._waiting.keys()):
            self._post(Leave(serial))
            self._enter(*self._waiting.pop(serial))
        self._unwelcomed.clear()

    def _enter(self, member: C, name: str) -> None:
        """Have the owner let somebody in, by a number of its own: no late welcome is taken for another."""
        serial = next(self._numbers)
        self._serials[member.serial] = serial
        self._waiting[serial] = (member, name)
        self._post(Enter(serial, name))

    def _post(self, post: ToOwner) -> None:
        self._publish(seal(self._number, post))
