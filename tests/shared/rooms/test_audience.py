from dataclasses import dataclass

from shared.rooms.audience import Audience


@dataclass
class Peer:
    fd: int
    form: int = 0


def seated(*fds: int) -> tuple[Audience[Peer], list[Peer]]:
    audience: Audience[Peer] = Audience()
    peers = [Peer(fd) for fd in fds]
    audience.seat(peers)
    return audience, peers


def test_descriptors_stand_in_the_order_of_the_members() -> None:
    audience, peers = seated(7, -1, 9)
    assert audience.members == peers
    assert list(audience.fds(0, 3)) == [7, -1, 9]
    assert list(audience.fds(1, 2)) == [-1]
    assert list(audience.fds(2, 9)) == [9]


def test_nobody_is_looked_at_until_somebody_has_changed() -> None:
    audience, peers = seated(7, 8)
    audience.fds(0, 2)
    peers[1].fd = -1
    audience.seat(peers)
    assert list(audience.fds(0, 2)) == [7, 8]
    audience.is_stale = True
    assert list(audience.fds(0, 2)) == [7, -1]
    assert not audience.is_stale


def test_who_changes_between_two_slices_is_seen_in_the_second() -> None:
    audience, peers = seated(7, 8, 9)
    assert list(audience.fds(0, 2)) == [7, 8]
    peers[2].fd = -1
    audience.is_stale = True
    assert list(audience.fds(2, 4)) == [-1]
    assert audience.is_stale, "the next tick gathers them all"


def test_other_members_are_another_audience() -> None:
    audience, peers = seated(7, 8)
    audience.fds(0, 2)
    audience.seat([*peers[1:], Peer(5)])
    assert list(audience.fds(0, 2)) == [8, 5]


def test_the_frame_of_each_stands_beside_its_descriptor() -> None:
    audience: Audience[Peer] = Audience()
    audience.seat([Peer(7), Peer(8, form=15), Peer(-1, form=9)])
    frames = {0: b"plain", 9: b"nine", 15: b"fifteen"}
    assert list(audience.takers(0, 2, frames)) == [(7, b"plain"), (8, b"fifteen")]
    assert list(audience.takers(2, 9, frames)) == [(-1, b"nine")]
    audience.seat([Peer(5, form=9), Peer(6, form=9)])
    assert list(audience.takers(0, 9, frames)) == [(5, b"nine"), (6, b"nine")]
    audience.seat([])
    assert list(audience.takers(0, 9, frames)) == []


def test_an_empty_room_has_nobody_to_send_to() -> None:
    assert list(Audience[Peer]().fds(0, 2)) == []
