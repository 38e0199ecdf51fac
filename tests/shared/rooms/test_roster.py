import pickle

from shared.rooms.roster import MOST_WOKEN, UNNAMED_US, Roster
from shared.wire.session import ConnectionLimits, EchoSession
from tests.shared.rooms.visitor import NOW, Visitor


def listed(*serials: int, max_unnamed: int = 500) -> tuple[Roster[Visitor], list[Visitor]]:
    roster: Roster[Visitor] = Roster(max_unnamed)
    visitors = [Visitor(serial) for serial in serials]
    for visitor in visitors:
        roster.add(visitor, NOW)
    return roster, visitors


def test_no_number_is_given_twice() -> None:
    roster: Roster[Visitor] = Roster(7)
    assert len({roster.next_serial() for _ in range(100)}) == 100


def test_each_is_there_until_it_is_removed() -> None:
    roster, (first, second) = listed(3, 4)
    roster.slow.add(first)
    assert roster.connections == {3: first, 4: second}
    roster.remove(first)
    assert roster.connections == {4: second}
    assert not roster.slow


def test_each_is_due_once_at_the_deadline_of_its_session() -> None:
    roster, (visitor,) = listed(3)
    deadline_us = visitor.session.deadline_us
    assert deadline_us > NOW
    assert visitor.wakes_us == deadline_us
    assert roster.pop_due(deadline_us - 1) == []
    assert roster.pop_due(deadline_us) == [visitor]
    assert roster.pop_due(deadline_us) == []


def test_who_has_ended_is_not_due() -> None:
    roster, (first, second) = listed(3, 4)
    roster.remove(first)
    assert roster.pop_due(second.session.deadline_us) == [second]


def test_who_has_ended_leaves_nothing() -> None:
    def kept(roster: Roster[Visitor]) -> bytes:
        return pickle.dumps({name: value for name, value in vars(roster).items() if name != "_serials"})

    roster, visitors = listed(*range(100))
    for visitor in visitors:
        visitor.session.close(1001, "stopping", NOW)
        roster.wake_at_deadline(visitor)
        roster.watch(visitor)
        roster.enter(visitor)
        roster.remove(visitor)
        roster.wake_at_deadline(visitor)  # by a task of the server's that had begun before
        roster.watch(visitor)  # by a tick that had
    assert kept(roster) == kept(Roster(500))


def test_of_very_many_who_are_due_the_others_are_the_next_time() -> None:
    roster, visitors = listed(*range(MOST_WOKEN + 5))
    deadline_us = visitors[0].session.deadline_us
    assert roster.pop_due(deadline_us) == visitors[:MOST_WOKEN]
    assert roster.pop_due(deadline_us) == visitors[MOST_WOKEN:]
    assert roster.pop_due(deadline_us) == []


def test_a_nearer_deadline_counts_from_when_it_is_told() -> None:
    roster, (visitor,) = listed(3)
    visitor.session.close(1001, "stopping", NOW)
    closes_us = visitor.session.deadline_us
    assert closes_us < visitor.wakes_us
    assert roster.pop_due(closes_us) == []
    roster.wake_at_deadline(visitor)
    assert roster.pop_due(closes_us) == [visitor]


# Without a name


def test_of_more_without_a_name_than_there_may_be_those_who_came_first_make_room() -> None:
    roster, visitors = listed(*range(10), max_unnamed=7)
    assert roster.pop_too_many(NOW + UNNAMED_US - 1) == []
    assert roster.pop_too_many(NOW + UNNAMED_US) == visitors[:3]
    assert roster.pop_too_many(NOW + 10 * UNNAMED_US) == [], "once, though they are not gone yet"


def test_who_is_being_closed_already_makes_no_room_and_takes_none() -> None:
    roster, visitors = listed(*range(10), max_unnamed=7)
    for visitor in visitors[:2]:
        visitor.session.close(1013, "the server is busy", NOW)
    assert roster.pop_too_many(NOW + UNNAMED_US) == visitors[2:3]


def test_who_has_come_later_may_still_think() -> None:
    roster, visitors = listed(*range(8), max_unnamed=7)
    for serial in range(8, 20):
        roster.add(Visitor(serial), NOW + UNNAMED_US)
    assert roster.pop_too_many(NOW + UNNAMED_US) == visitors


def test_who_has_given_a_name_or_has_ended_does_not_count() -> None:
    roster, visitors = listed(*range(10), max_unnamed=7)
    roster.enter(visitors[0])
    roster.remove(visitors[1])
    assert roster.pop_too_many(NOW + UNNAMED_US) == visitors[2:3]


def test_of_very_many_who_are_to_make_room_the_others_do_the_next_time() -> None:
    roster, visitors = listed(*range(MOST_WOKEN + 5), max_unnamed=1)
    assert roster.pop_too_many(NOW + UNNAMED_US) == visitors[:MOST_WOKEN]


def test_who_is_in_no_room_at_all_needs_no_name() -> None:
    roster: Roster[Visitor] = Roster(1)
    for serial in range(3):
        visitor = Visitor(serial)
        visitor.session = EchoSession(ConnectionLimits(), NOW)
        roster.add(visitor, NOW)
    assert roster.pop_too_many(NOW + UNNAMED_US) == []
