"""How a process finds out what part it has in a room: what it asks and takes, by a clock of the test's own."""

import pytest

from shared.edges.posts import Here, Owned, edges_channel, open_at_owner, owners_channel, seal
from shared.edges.tenancy import ASK_S, SETTLE_LIMIT_S, BaseTenancy
from shared.relay.bus import Down, Lagged, Message, RelayError

ME = b"12345678"


class FixedLease:
    """A lease that is whose a test says."""

    number = 0


class Room:
    """A room with one process, and what that has said."""

    def __init__(self) -> None:
        self.lease = FixedLease()
        self.said: list[tuple[str, bytes]] = []
        self.tenancy = BaseTenancy("den", ME, self.lease, self._publish)

    def _publish(self, channel: str, data: bytes) -> bool:
        self.said.append((channel, data))
        return True


def test_it_asks_again_and_again_until_an_owner_is_heard() -> None:
    room = Room()
    tenancy = room.tenancy
    for step in range(8):  # what comes of it is lost
        tenancy.ask_for_owner(100 + step * ASK_S / 2)
        assert not tenancy.follow(Message(b"nothing of ours"))
        assert not tenancy.follow(Lagged())
    assert [channel for channel, _ in room.said] == [edges_channel("den")] * 4
    assert open_at_owner(room.said[0][1]) == (0, Here([], [], wants_state=False))
    assert tenancy.follow(Message(seal(7, Owned())))
    assert (tenancy.number, tenancy.is_owner, tenancy.current_number()) == (7, False, 0)
    assert tenancy.publish(b"x")
    assert room.said[-1] == (edges_channel("den"), b"x")


def test_it_does_not_wait_for_ever_nor_for_a_relay_that_is_gone() -> None:
    tenancy = Room().tenancy
    tenancy.ask_for_owner(100)
    tenancy.ask_for_owner(100 + SETTLE_LIMIT_S - 0.01)
    with pytest.raises(RelayError, match="nobody answers"):
        tenancy.ask_for_owner(100 + SETTLE_LIMIT_S)
    with pytest.raises(RelayError, match="the relay is gone: killed"):
        tenancy.follow(Down("killed"))


def test_an_owner_says_so_and_has_the_room_as_long_as_its_lease_says() -> None:
    room = Room()
    room.lease.number = 9
    room.tenancy.own(9)
    assert room.said == [(owners_channel("den"), seal(9, Owned()))]
    assert room.tenancy.is_owner
    for held, current in ((9, 9), (0, 0), (9, 9), (11, 0)):
        room.lease.number = held
        assert room.tenancy.current_number() == current
