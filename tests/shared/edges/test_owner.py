"""What an owner makes of what its edges say, and what it tells them."""

from shared.edges.posts import SILENCE_S, Here, Join, Missed, Owned, open_at_edge, seal
from tests.shared.edges.processes import NUMBER, Processes


def test_one_frame_goes_out_however_many_guests_there_are() -> None:
    them = Processes(edges=2)
    for edge in them.edges:
        for number in range(5):
            edge.arrives(f"p{number}")
    them.deliver()
    sent: list[bytes] = []
    them.owner.owner._publish = sent.append
    them.owner.tick()
    assert len(sent) == 1


def test_without_guests_no_frame_goes_out() -> None:
    them = Processes()
    sent: list[bytes] = []
    them.owner.owner._publish = sent.append
    them.owner.tick()
    assert sent == []


def test_who_leaves_has_left() -> None:
    them = Processes()
    edge = them.edges[0]
    ann = edge.arrives("ann")
    them.deliver()
    edge.says(ann, '["join"]')
    them.deliver()
    them.tick()
    edge.goes(ann)
    them.deliver()
    them.tick()
    assert not them.owner.room.members
    assert not them.owner.owner.guests


def test_that_somebody_left_is_lost_and_found_out() -> None:
    them = Processes()
    edge = them.edges[0]
    ann, bob = edge.arrives("ann"), edge.arrives("bob")
    them.deliver()
    them.deaf = True
    edge.goes(ann)
    them.deliver()
    them.deaf = False
    assert len(them.owner.room.members) == 2
    them.call_roll()
    assert [guest.session.name for guest in them.owner.owner.guests.values()] == [bob.session.name]


def test_that_somebody_came_is_lost_and_found_out() -> None:
    them = Processes()
    them.deaf = True
    ann = them.edges[0].arrives("ann")
    them.deliver()
    them.deaf = False
    assert ann.session.player_id is None
    them.call_roll()
    assert ann.session.player_id is not None


def test_of_a_silent_edge_all_have_left_and_are_closed_when_it_comes_back() -> None:
    them = Processes(edges=2)
    ann, bob = them.edges[0].arrives("ann"), them.edges[1].arrives("bob")
    them.deliver()
    them.owner.running_us += round(SILENCE_S * 1_000_000) + 1
    them.edges[1].edge.say_who_is_here()
    them.deliver()
    them.owner.owner.end_silent(them.owner.running_us)
    assert [guest.session.name for guest in them.owner.owner.guests.values()] == ["bob"]
    them.call_roll()
    assert them.edges[0].closed == [ann]
    assert them.edges[1].closed == []
    assert bob.session.is_open


def test_an_edge_is_not_silent_for_as_long_as_the_relay_was_gone() -> None:
    them = Processes()
    them.edges[0].arrives("ann")
    them.deliver()
    owner = them.owner
    for _ in range(2):  # it goes, and is back
        owner.running_us += round(SILENCE_S * 600_000)
        owner.owner.bear_with(owner.running_us)
    owner.running_us += round(SILENCE_S * 600_000)
    owner.owner.end_silent(owner.running_us)
    assert owner.owner.guests
    owner.running_us += round(SILENCE_S * 600_000)
    owner.owner.end_silent(owner.running_us)
    assert not owner.owner.guests


def test_an_owner_whose_lease_is_over_says_nothing() -> None:
    them = Processes()
    them.edges[0].arrives("ann")
    them.deliver()
    them.owner.number = 0
    sent: list[bytes] = []
    them.owner.owner._publish = sent.append
    them.owner.tick()
    them.owner.hear(them.edges[0].me, seal(NUMBER, Here([], [], wants_state=False)))
    assert sent == []
    assert not them.owner.owner.may_tick


def test_an_edge_of_an_older_owner_is_told_of_the_new_one_and_has_nobody() -> None:
    them = Processes()
    ann = them.edges[0].arrives("ann")
    them.deliver()
    assert ann.session.player_id == 1
    them.owner.number = NUMBER + 1
    sent: list[bytes] = []
    them.owner.owner._publish = sent.append
    them.owner.hear(them.edges[0].me, seal(NUMBER, Here([1], [], wants_state=True)))
    assert sent == [seal(NUMBER + 1, Owned())]
    assert not them.owner.owner.guests


def test_an_owner_that_has_its_room_back_keeps_its_guests_and_has_edges_ask() -> None:
    them = Processes()
    edge = them.edges[0]
    edge.arrives("ann")
    them.deliver()
    sent: list[bytes] = []
    them.owner.owner._publish = sent.append
    them.owner.number = 0  # it was held up; nobody has said yet whose the room is
    them.owner.tick()
    them.owner.hear(edge.me, seal(NUMBER, Join(1)))
    them.owner.hear(edge.me, seal(NUMBER, Here([], [], wants_state=False)))
    them.owner.number = NUMBER
    them.owner.tick()
    them.owner.tick()
    posts = [open_at_edge(data)[1] for data in sent]
    assert [type(post).__name__ for post in posts] == ["Missed", "Frame", "Frame"]
    assert posts[0] == Missed()
    assert len(them.owner.owner.guests) == 1
