"""
The owner's side of a room over processes: its guests, whose connections are at edges, and what edges are told.

A guest is a member of the room like any other, to its game and to its loop; but it is sent nothing: its edge is sent
one frame a tick, however many guests it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.edges.posts import (
    SILENCE_S,
    Enter,
    Frame,
    FromOwner,
    Here,
    Join,
    Leave,
    Missed,
    Owned,
    State,
    Told,
    Turn,
    Welcomed,
    open_at_owner,
    seal,
)
from shared.edges.standing import Standing
from shared.game.world import list_top_scores
from shared.wire.messages import ClientMessage, JoinRequest, Key, NewPlayer

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.loops.schedule import DueTick
    from shared.rooms.room import Room

SILENCE_US = round(SILENCE_S * 1_000_000)


class GuestSession:
    """What a room asks of a member's session; what it is told goes to the guest's edge."""

    def __init__(self, owner: Owner, edge: bytes, serial: int) -> None:
        self.player_id: int | None = None
        self.name = ""
        self.is_open = True
        self._owner = owner
        self._edge = edge
        self._serial = serial

    def enter(self, player_id: int, name: str, welcome: bytes, now_us: int) -> None:  # noqa: ARG002 # as a session has it
        """Note that it is in the room, and have it welcomed."""
        self.player_id, self.name = player_id, name
        standing = self._owner.standing.as_news()
        self._owner.post(Welcomed(self._edge, self._serial, player_id, name, welcome, standing))

    def send(self, payload: bytes) -> None:
        """Have it told something."""
        self._owner.post(Told(self._edge, self._serial, payload))


class Guest:
    """A member whose connection is at an edge."""

    is_here = False

    def __init__(self, owner: Owner, edge: bytes, serial: int) -> None:
        self.edge = edge
        self.serial = serial
        self.session = GuestSession(owner, edge, serial)


class Owner:
    """
    What the owner of one room knows of its edges.

    ``loop`` is the room's: guests leave it by its ``leave``, and what they say is for its ``take``. ``number`` says the
    number of the lease, 0 when it is over; ``publish`` sends bytes in the owner's channel.
    """

    def __init__(self, room: Room[Any], number: Callable[[], int], publish: Callable[[bytes], object]) -> None:
        self.room = room
        self.loop: Any = None
        self.standing = Standing([list_top_scores(room.top_scores)])
        self.is_state_wanted = False
        self.guests: dict[tuple[bytes, int], Guest] = {}
        self._number = number
        self._publish = publish
        self._heard_us: dict[bytes, int] = {}  # when an edge was heard last
        self._is_cut_off = False  # something could not be said

    @property
    def may_tick(self) -> bool:
        """Whether the room is still its own."""
        return self._number() != 0

    # What edges say

    def receive(self, edge: bytes, data: bytes, running_us: int) -> list[tuple[Guest, ClientMessage]]:
        """
        Take what an edge has published; return who says what to the loop.

        ``running_us`` is the time in which this server ran: who can't be heard meanwhile is not silent. ValueError or
        msgspec.MsgspecError: it is nothing of ours.
        """
        number, post = open_at_owner(data)
        self._heard_us[edge] = running_us
        current = self._number()
        if not current or (number != current and not isinstance(post, Here)):
            return []  # should the room be ours again, who is here mends it; or this speaks of a game that is over
        if isinstance(post, Here):
            return self._take_roll(edge, post if number == current else Here([], [], wants_state=False))
        guest = self.guests.get((edge, post.serial))
        match post:
            case Enter(serial, name) if guest is None:
                return self._let_in(edge, serial, name)
            case Leave():
                self._see_out(guest)
            case Join() if guest and guest.session.player_id is not None:
                return [(guest, JoinRequest())]
            case Turn(_, code) if guest and guest.session.player_id is not None:
                return [(guest, Key(code))]
        return []

    def bear_with(self, running_us: int) -> None:
        """Give all edges as long again to say something: what they said could not be heard, as the relay was gone."""
        self._heard_us = dict.fromkeys(self._heard_us, running_us)

    def end_silent(self, running_us: int) -> None:
        """Have all leave whose edges have been silent for too long."""
        for edge in [edge for edge, heard_us in self._heard_us.items() if running_us - heard_us > SILENCE_US]:
            del self._heard_us[edge]
            for guest in [guest for (its, _), guest in self.guests.items() if its == edge]:
                self._see_out(guest)

    # What edges are told

    def post(self, post: FromOwner) -> None:
        """Tell all edges something, as long as the room is ours; when it is again, also that they have missed some."""
        number = self._number()
        if number and self._is_cut_off:
            self._publish(seal(number, Missed()))
        if number:
            self._publish(seal(number, post))
        self._is_cut_off = not number

    def send_frame(self, due: DueTick, sent_us: int, text: bytes) -> None:
        """Send a tick's frame to all edges; ``text`` is that of the last step."""
        news = self.room.news
        self.standing.note(news)
        if self.guests:
            self.post(Frame(due.n, due.due_us, sent_us, text, news, self.room.living))

    def send_state(self, field: bytes) -> None:
        """Send how the room is after the last frame, if an edge has asked for it."""
        if self.is_state_wanted:
            self.is_state_wanted = False
            self.post(State(field, self.standing.as_news()))

    # Private methods

    def _take_roll(self, edge: bytes, post: Here) -> list[tuple[Guest, ClientMessage]]:
        said: list[tuple[Guest, ClientMessage]] = []
        here = {*post.members, *(serial for serial, _ in post.waiting)}
        for guest in [guest for (its, serial), guest in self.guests.items() if its == edge and serial not in here]:
            self._see_out(guest)  # that it left was lost
        for serial, name in post.waiting:
            if (edge, serial) not in self.guests:  # that it came was lost
                said += self._let_in(edge, serial, name)
        self.post(Owned([(edge, serial) for serial in post.members if (edge, serial) not in self.guests]))
        self.is_state_wanted |= post.wants_state
        return said

    def _let_in(self, edge: bytes, serial: int, name: str) -> list[tuple[Guest, ClientMessage]]:
        guest = self.guests[edge, serial] = Guest(self, edge, serial)
        return [(guest, NewPlayer(name))]

    def _see_out(self, guest: Guest | None) -> None:
        if guest is not None:
            guest.session.is_open = False  # it may not even have entered
            self.guests.pop((guest.edge, guest.serial), None)
            self.loop.leave(guest)
