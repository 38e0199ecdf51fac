import msgspec
import pytest

from shared.edges.posts import (
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
    ToOwner,
    Turn,
    Welcomed,
    edges_channel,
    lease_of,
    open_at_edge,
    open_at_owner,
    owners_channel,
    said_by_owner,
    seal,
)
from shared.game.changes import PlayerDied, PlayerJoined, PlayerScored, TopScoresListed
from shared.loops.schedule import DueTick
from shared.relay.bus import check_channel
from shared.rooms.game import News

NEWS: list[News] = [
    PlayerJoined(1, "ann", 2, 3),
    PlayerScored(1, 4),
    PlayerDied(1),
    TopScoresListed([("ann", 4, 1)]),
]
LONGEST_ROOM = "r" * 32


@pytest.mark.parametrize(
    "post", [Enter(1, "ann"), Join(2), Turn(3, 37), Leave(4), Here([1], [(2, "bob")], wants_state=True)]
)
def test_what_an_edge_says_comes_to_the_owner(post: ToOwner) -> None:
    assert open_at_owner(seal(7, post)) == (7, post)


@pytest.mark.parametrize(
    "post",
    [
        Owned([(b"12345678", 1)]),
        Missed(),
        Frame(1, 2, 3, b"[]", NEWS, 4),
        State(b"[]", NEWS),
        Welcomed(b"12345678", 1, 2, "ann", b"[]", NEWS),
        Told(b"12345678", 1, b"[]"),
    ],
)
def test_what_the_owner_says_comes_to_an_edge(post: FromOwner) -> None:
    assert open_at_edge(seal(7, post)) == said_by_owner(seal(7, post)) == (7, post)


@pytest.mark.parametrize("data", [b"", b"short", seal(1, Owned())[:-1], seal(1, Join(1))[:8] + b"\xff"])
def test_what_is_none_of_it_is_said_so(data: bytes) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        open_at_edge(data)
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        open_at_owner(data)
    assert said_by_owner(data) is None


def test_names_of_channels_are_short_enough_and_apart() -> None:
    names = [owners_channel(LONGEST_ROOM), edges_channel(LONGEST_ROOM), lease_of(LONGEST_ROOM)]
    for name in names:
        check_channel(name)
    assert len(set(names)) == len(names)


def test_a_frame_s_tick_is_as_late_as_it_came() -> None:
    frame = Frame(5, 1_000, 1_100, b"[]", [], 0)
    assert frame.due(1_300) == DueTick(5, 1_000, 300, 0)
    assert frame.due(900) == DueTick(5, 1_000, 0, 0)  # another machine's clock
