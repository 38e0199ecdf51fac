from dataclasses import dataclass

from shared.rooms.audience import Audience


@dataclass
class Peer:
    fd: int


def seated(*fds: int) -> tuple[Audience[Peer], list[Peer]]:
    audience: Audience[Peer] = Audience()
    peers = [Peer(fd) for fd in fds]
    audience.seat(peers)
    return audience, peers


def test_descriptors_stand_in_the_order_of_the_members() -> None:
    audience, peers = seated(7, -1, 9)
    assert audience.members == peers
    assert list(audience.fds()) == [7, -1, 9]


def test_nobody_is_looked_at_until_somebody_has_changed() -> None:
    audience, peers = seated(7, 8)
    fds = audience.fds()
    audience.seat(peers)
    assert audience.fds() is fds
    peers[1].fd = -1
    audience.is_stale = True
    assert list(audience.fds()) == [7, -1]
    assert not audience.is_stale


def test_other_members_are_another_audience() -> None:
    audience, peers = seated(7, 8)
    audience.fds()
    audience.seat([*peers[1:], Peer(5)])
    assert list(audience.fds()) == [8, 5]


def test_an_empty_room_has_nobody_to_send_to() -> None:
    assert list(Audience[Peer]().fds()) == []
