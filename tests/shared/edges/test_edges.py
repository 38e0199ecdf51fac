"""What members at edges are told, whatever is lost between the processes."""

import random
from itertools import pairwise

import pytest

from shared.edges.posts import SILENCE_S, Here, Owned, seal
from tests.shared.edges.processes import NUMBER, EdgeSide, Guest, Processes


def test_a_guest_is_told_as_a_member_of_the_owner_is() -> None:
    them = Processes()
    edge = them.edges[0]
    ann = edge.arrives("ann")
    them.deliver()
    assert ann.session.name == "ann"
    assert ann.session.player_id == 1
    edge.says(ann, '["join"]')
    them.deliver()
    them.tick(5)
    assert list(ann.board.alive) == [1]
    assert ann.steps == list(range(5))
    them.check(ann)


def test_a_guest_turns_its_snake() -> None:
    them = Processes()
    edge = them.edges[0]
    ann = edge.arrives("ann")
    them.deliver()
    edge.says(ann, '["join"]')
    them.deliver()
    them.tick(2)
    (snake,) = (snake for snake in them.owner.room.members)
    before = dict(ann.board.cells)
    edge.says(ann, "38")
    them.deliver()
    them.tick(2)
    assert snake == 1
    assert ann.board.cells != before
    them.check(ann)


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


def test_a_guest_gets_every_frame_once_and_in_order() -> None:
    them = Processes(edges=2)
    guests: list[Guest] = []
    for _ in range(6):
        guests.append(them.edges[len(guests) % 2].arrives("p"))
        them.deliver()
        them.tick(3)
    for guest in guests:
        assert all(after == before + 1 for before, after in pairwise(guest.steps))
        assert guest.steps[-1] == 17


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


def test_who_leaves_before_the_welcome_comes_has_left() -> None:
    them = Processes()
    edge = them.edges[0]
    ann = edge.arrives("ann")
    edge.goes(ann)
    them.deliver()
    assert not them.owner.room.members
    assert not edge.room.members


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


def test_a_lost_welcome_is_given_again() -> None:
    lost = {1}
    them = Processes(loses=lambda number: number in lost)
    ann = them.edges[0].arrives("ann")
    them.deliver()
    assert ann.session.player_id is None
    them.call_roll()  # from what comes then the edge learns that something is missing
    them.tick(3)
    assert ann.session.player_id is not None
    assert len(them.owner.room.members) == 1
    them.check(ann)


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


def test_what_an_older_owner_says_is_dropped() -> None:
    them = Processes()
    edge = them.edges[0]
    ann = edge.arrives("ann")
    them.deliver()
    edge.hear(seal(NUMBER - 1, Owned([(edge.me, 1)])))
    assert ann.session.is_open
    assert edge.closed == []
    assert edge.edge.has_new_owner(NUMBER + 1)
    assert not edge.edge.has_new_owner(NUMBER)


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


def test_one_who_reads_too_slowly_is_told_what_it_missed() -> None:
    them = Processes()
    edge = them.edges[0]
    ann, bob = edge.arrives("ann"), edge.arrives("bob")
    them.deliver()
    for guest in (ann, bob):
        edge.says(guest, '["join"]')
    them.deliver()
    them.tick(2)
    bob.takes = False
    them.tick(4)
    bob.takes = True
    them.tick(3)
    assert not bob.is_behind
    them.check(ann, bob)


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_lost_all_show_the_same_in_the_end(seed: int) -> None:
    chance = random.Random(seed)
    is_lossy = True
    them = Processes(edges=3, loses=lambda _: is_lossy and chance.random() < 0.15)
    here: list[tuple[EdgeSide, Guest]] = []
    serials = dict.fromkeys(range(3), 0)
    for _ in range(120):
        place = chance.randrange(3)
        edge = them.edges[place]
        match chance.random():
            case roll if roll < 0.15:
                serials[place] += 1
                here.append((edge, edge.arrives(f"p{len(here)}", serials[place])))
            case roll if roll < 0.2 and here:
                leaver, guest = here.pop(chance.randrange(len(here)))
                leaver.goes(guest)
            case _ if here:
                speaker, guest = chance.choice(here)
                if guest.session.player_id is not None:
                    speaker.says(guest, chance.choice(('["join"]', "37", "38", "39", "40")))
        them.deaf = chance.random() < 0.1
        them.deliver()
        them.deaf = False
        them.tick()
        if chance.random() < 0.2:
            them.call_roll()
    is_lossy = False
    for _ in range(3):
        them.call_roll()
        them.tick()
    them.check(*(guest for _, guest in here))
    assert all(guest.session.player_id is not None for _, guest in here)
    assert len(them.owner.room.members) == len(here)
    assert not any(edge.closed for edge in them.edges)
