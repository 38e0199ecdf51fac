"""What members at an edge are told, whatever is lost between the processes."""

import random
from itertools import pairwise

import pytest

from shared.edges.posts import Owned, seal
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


def test_who_leaves_before_the_welcome_comes_has_left() -> None:
    them = Processes()
    edge = them.edges[0]
    ann = edge.arrives("ann")
    edge.goes(ann)
    them.deliver()
    assert not them.owner.room.members
    assert not edge.room.members


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
