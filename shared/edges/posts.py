"""
What the owner of a room and its edges tell each other, as MessagePack behind the number of the owner's lease.

Each room has two channels of a bus (:mod:`shared.relay.bus`): one in which edges speak, one in which the owner does.
All that the owner says comes in the order in which its own members learn of it; so a welcome lies between two frames.
Whoever is meant is named by the publisher's eight bytes and a serial number that the edge gives anew for each
Enter. What an edge says
may be lost: it says again and again who is there (:class:`Here`), and from that the owner mends what it missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shared.loops.schedule import DueTick
from shared.relay.fence import read_stamp, stamp
from shared.rooms.game import News  # noqa: TC001 # msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Callable

HERE_S = 0.5
"""How often an edge says who is there."""
SILENCE_S = 2.5
"""Of an edge that has said nothing for so long, all have left; who waits for an owner that long is sent away."""
TTL_S = 2.0
"""How long the lease of a room lasts that is not renewed: an owner that dies is missed for no longer."""

NEW_OWNER = "the room has a new owner"
NO_RELAY = "the relay is gone"
NOT_KNOWN = "the room's owner does not know of this connection"
"""Why a connection at an edge is closed."""


class Enter(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Somebody wants to come in. Answered with a :class:`Welcomed`."""

    serial: int
    name: str


class Join(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A member asks for a snake."""

    serial: int


class Turn(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A member has pressed an arrow key."""

    serial: int
    code: int


class Leave(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A member has gone."""

    serial: int


class Here(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """
    All who are there at an edge: ``members`` have been welcomed, ``waiting`` (serial, name) not yet.

    Answered with an :class:`Owned`, and where an edge ``wants_state`` with a :class:`State` before the next frame.
    """

    members: list[int]
    waiting: list[tuple[int, str]]
    wants_state: bool


class Owned(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The room has this owner. ``strangers`` (edge, serial) are not in it, whatever their edges believe."""

    strangers: list[tuple[bytes, int]] = []


class Missed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Something is missing before this: the owner was held up, and did not know whether the room was its own."""


class Frame(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A tick's frame, and what of it is kept for those who miss it."""

    n: int
    due_us: int
    sent_us: int
    text: bytes
    news: list[News]
    living: int

    def due(self, now_us: int) -> DueTick:
        """Return its tick, as one that begins here and now."""
        return DueTick(self.n, self.due_us, max(0, now_us - self.due_us), 0)


class State(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """How the room is after the last frame: its encoded field, its players and its top scores."""

    field: bytes
    standing: list[News]


class Welcomed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Somebody is in the room, and is told ``text``."""

    edge: bytes
    serial: int
    player_id: int
    name: str
    text: bytes
    standing: list[News]


class Told(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A member is told ``text``, an encoded command of its own."""

    edge: bytes
    serial: int
    text: bytes


ToOwner = Enter | Join | Turn | Leave | Here
FromOwner = Owned | Missed | Frame | State | Welcomed | Told

_encode = msgspec.msgpack.Encoder().encode
_decode_to_owner: Callable[[bytes], ToOwner] = msgspec.msgpack.Decoder(ToOwner).decode
_decode_from_owner: Callable[[bytes], FromOwner] = msgspec.msgpack.Decoder(FromOwner).decode


def owners_channel(room: str) -> str:
    """Return the channel in which the owner of a room speaks."""
    return f"room/{room}/owner"


def edges_channel(room: str) -> str:
    """Return the channel in which the edges of a room speak."""
    return f"room/{room}/edges"


def group_of(room: str) -> str:
    """Return the group of the processes that have members of a room: what is sent to it is shown to them."""
    return f"room/{room}"


def lease_of(room: str) -> str:
    """Return the name of the lease that makes somebody the owner of a room."""
    return f"room/{room}"


def seal(number: int, post: ToOwner | FromOwner) -> bytes:
    """Return a post as bytes, behind the number of the owner's lease: 0 where an edge knows of no owner."""
    return stamp(number, _encode(post))


def open_at_owner(data: bytes) -> tuple[int, ToOwner]:
    """Return the number that an edge knows, and what it says; ValueError if that is nothing of ours."""
    number, body = read_stamp(data)
    return number, _decode_to_owner(body)


def said_by_owner(data: bytes) -> tuple[int, FromOwner] | None:
    """Return the number of an owner, and what it says; None if that is nothing of ours."""
    try:
        return open_at_edge(data)
    except (ValueError, msgspec.MsgspecError):
        return None


def open_at_edge(data: bytes) -> tuple[int, FromOwner]:
    """Return the number of an owner, and what it says; ValueError if that is nothing of ours."""
    number, body = read_stamp(data)
    return number, _decode_from_owner(body)
