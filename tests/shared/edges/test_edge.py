"""What members at an edge are told, whatever is lost between the processes."""

import random
from itertools import pairwise
from typing import Any

import pytest

from shared.edges.edge import RoomLostError
from shared.edges.posts import HERE_S, NEW_OWNER, NO_RELAY, SILENCE_S, Frame, FromOwner, Owned, State, Told, seal
from shared.relay.bus import Down, Lagged, Message, Up
from shared.wire.frames import CloseCode
from tests.shared.edges.processes import NUMBER, PERIOD_US, EdgeSide, Guest, Processes
from tests.shared.rooms.visitor import NOW


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


class ServingSide(EdgeSide):
    """An edge as a server has it: it is handed events, and looks around by a clock of its own."""

    running_us = NOW

    def hear(self, data: bytes) -> None:
        self.happens(Message(data))

    def miss(self) -> None:
        self.happens(Lagged())

    def happens(self, event: Any) -> None:
        post = self.edge.hear(event, NOW, self.running_us)
        if post is not None:
            self._take(post)
        self.edge.look(self.running_us)

    def _take(self, post: FromOwner) -> None:
        if isinstance(post, Frame | State):
            super()._take(post)
        for member in self.edge.take_other(post, NOW):
            if member.session.is_open:
                member.hear_own()
            else:
                self.closed.append(member)


def serving(them: Processes) -> list[ServingSide]:
    """Have all edges be as servers have them."""
    sides = [ServingSide(edge.me, them._speaker(edge.me)) for edge in them.edges]
    them.edges = list(sides)
    return sides


@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_lost_and_though_the_owner_is_held_up_all_show_the_same_in_the_end(seed: int) -> None:
    chance = random.Random(seed)
    is_lossy = True
    them = Processes(edges=2, loses=lambda _: is_lossy and chance.random() < 0.1)
    sides = serving(them)
    guests = [side.arrives(f"p{number}", number) for side in sides for number in (1, 2)]
    for _ in range(150):
        side = chance.choice(sides)
        for each in sides:
            each.running_us += PERIOD_US
        them.owner.number = 0 if chance.random() < 0.15 else NUMBER  # over by its own clock, and had back
        guest = side.guests[chance.choice((1, 2))]
        if guest.session.player_id is not None:
            side.says(guest, chance.choice(('["join"]', "37", "38", "39", "40")))
        them.tick()
        side.happens(None)  # nothing has come for a while
        them.deliver()
    is_lossy, them.owner.number = False, NUMBER
    for _ in range(3):
        for side in sides:
            side.running_us += round(HERE_S * 1_000_000)
            side.happens(None)
        them.deliver()
        them.tick()
    them.check(*guests)
    assert all(guest.session.player_id is not None for guest in guests)
    assert len(them.owner.room.members) == len(guests)
    assert not any(side.closed for side in sides)


def test_an_edge_says_who_is_here_as_often_as_that_is_due() -> None:
    them = Processes()
    (side,) = serving(them)
    for now_s, said in ((0.0, 1), (HERE_S / 2, 1), (HERE_S, 2), (HERE_S * 1.5, 2), (HERE_S * 9, 3)):
        side.running_us = NOW + round(now_s * 1_000_000)
        side.happens(None)
        assert len(them._to_owner) == said


def test_a_new_owner_s_word_ends_the_room_and_an_old_one_s_is_nothing() -> None:
    (side,) = serving(Processes())
    side.hear(seal(NUMBER - 1, Owned()))
    side.hear(b"nothing of ours")
    with pytest.raises(RoomLostError, match=NEW_OWNER) as caught:
        side.hear(seal(NUMBER + 1, Owned()))
    assert caught.value.code == CloseCode.SERVICE_RESTART


def test_a_relay_that_is_gone_for_long_ends_the_room_and_a_server_that_stood_still_does_not() -> None:
    (side,) = serving(Processes())
    silence_us = round(SILENCE_S * 1_000_000)
    side.happens(Down("killed"))
    side.running_us += silence_us
    side.happens(Up())
    side.running_us += silence_us
    side.happens(Down("killed"))
    side.running_us += silence_us
    side.happens(Down("killed"))
    side.running_us += 1
    with pytest.raises(RoomLostError, match=NO_RELAY) as caught:
        side.happens(None)
    assert caught.value.code == CloseCode.TRY_AGAIN_LATER


def test_who_is_told_something_and_who_is_not_known_has_something_to_send() -> None:
    them = Processes()
    (side,) = serving(them)
    ann, bob = side.arrives("ann"), side.arrives("bob")
    them.deliver()
    assert side.edge.take_other(Told(side.me, 1, b"[]"), NOW) == [ann]
    assert side.edge.take_other(Told(b"stranger", 1, b"[]"), NOW) == []
    assert side.edge.take_other(Owned([(side.me, 2), (b"stranger", 1)]), NOW) == [bob]
    assert bob.session.close_code == CloseCode.SERVICE_RESTART
    assert ann.session.is_open
