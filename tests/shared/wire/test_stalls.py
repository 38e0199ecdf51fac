"""What was the server's time and not its peers', on a clock that the test turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.frames import Opcode
from shared.wire.session import CLOSING, CONNECTED, ENDED, IN_ROOM, ConnectionLimits, EchoSession
from shared.wire.stalls import NO_STALLS, Stalls
from tests.shared.wire.peer import HELLO, SECOND, START, Peer

TURN = 100_000
"""From one turn of the event loop that is noted to the next."""


class Server:
    """Notes its turns, and is held up, by itself or with the whole process, when a test says so."""

    def __init__(self) -> None:
        self.now = START
        self.still_us = 0
        self.stalls = Stalls(START, lambda: self.now - self.still_us)

    def runs(self, seconds: float) -> None:
        end = self.now + round(seconds * SECOND)
        while self.now < end:
            self.now = min(end, self.now + TURN)
            self.stalls.note_turn(self.now)

    def stalls_for(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)
        self.stalls.note_turn(self.now)

    def stands_still_for(self, seconds: float) -> None:
        """Take no CPU time, and go on."""
        self.still_us += round(seconds * SECOND)
        self.now += round(seconds * SECOND)

    def reads(self, peer: Peer, text: str, times: int) -> None:
        """Take what has come meanwhile, all at once."""
        peer.now = self.now
        for _ in range(times):
            peer.says(text)

    def meets(self, limits: ConnectionLimits | None = None) -> Peer:
        return Peer(limits, stalls=self.stalls, now=self.now).enters()


# When something may have arrived


def test_where_nothing_holds_it_up_a_message_came_since_the_turn_before_the_last() -> None:
    server = Server()
    server.runs(2)
    assert server.stalls.arrived_since(server.now) == server.now - TURN
    assert server.stalls.arrived_since(server.now + 50_000) == server.now - TURN
    assert not server.stalls.is_recent(server.now)


def test_in_a_stall_and_while_its_backlog_is_read_a_message_may_have_come_since_it_began() -> None:
    server = Server()
    server.runs(1)
    began = server.now
    assert server.stalls.arrived_since(began + 4 * SECOND) <= began, "the loop may read before it notes its turn"
    assert server.stalls.is_recent(began + 4 * SECOND)
    server.stalls_for(4)
    for _ in range(3):
        server.runs(1.3)
        assert server.stalls.arrived_since(server.now) <= began
        assert server.stalls.is_recent(server.now)
    server.runs(0.2)
    assert server.stalls.arrived_since(server.now) == server.now - TURN
    assert not server.stalls.is_recent(server.now)


@pytest.mark.parametrize(("stall_s", "backlog_s"), [(0.3, 1), (1, 1), (3, 3), (60, 10)])
def test_the_backlog_takes_as_long_as_the_stall_within_bounds(stall_s: float, backlog_s: float) -> None:
    server = Server()
    server.stalls_for(stall_s)
    assert server.stalls.is_recent(server.now + round(backlog_s * SECOND) - 1) or backlog_s > 0.25
    server.runs(backlog_s - 0.01)
    assert server.stalls.is_recent(server.now)
    server.runs(0.02)
    assert not server.stalls.is_recent(server.now)


def test_a_turn_that_is_a_little_late_is_no_stall() -> None:
    server = Server()
    for _ in range(10):
        server.stalls_for(0.25)
        assert not server.stalls.is_recent(server.now)


def test_of_two_stalls_the_backlog_of_the_first_may_lie_unread_in_the_second() -> None:
    server = Server()
    began = server.now
    server.stalls_for(2)
    server.runs(1)
    server.stalls_for(2)
    assert server.stalls.arrived_since(server.now) == began
    server.runs(1.9)
    assert server.stalls.arrived_since(server.now) == began
    server.runs(0.3)
    assert server.stalls.arrived_since(server.now) > began


def test_what_others_held_up_counts_like_a_stall() -> None:
    server = Server()
    server.runs(5)
    server.stalls.note(server.now - 3 * SECOND, server.now)
    assert server.stalls.arrived_since(server.now) == server.now - 3 * SECOND
    assert server.stalls.is_recent(server.now)


def test_a_long_wait_for_one_s_turn_is_a_stall_and_a_short_one_is_none() -> None:
    server = Server()
    server.runs(5)
    server.stalls.note_wait(server.now - 250_000, server.now)
    assert not server.stalls.is_recent(server.now)
    server.stalls.note_wait(server.now - 250_001, server.now)
    assert server.stalls.is_recent(server.now)
    assert server.stalls.arrived_since(server.now) == server.now - 250_001


def test_a_server_without_stalls_has_none() -> None:
    assert NO_STALLS.arrived_since(START) == START
    assert not NO_STALLS.is_recent(START)


# Rates


@pytest.mark.parametrize(("rate", "closed"), [(20, False), (50, False), (59, False), (200, True)])
def test_after_a_stall_who_kept_the_rate_is_read_at_once_and_who_did_not_is_closed(rate: int, *, closed: bool) -> None:
    server = Server()
    server.runs(1)
    peer = server.meets()
    server.runs(1.5)
    server.stalls_for(4)
    server.reads(peer, "65", 4 * rate)
    for _ in range(20):
        server.runs(0.1)
        server.reads(peer, "65", rate // 10)
    assert peer.session.state is (CLOSING if closed else IN_ROOM)
    assert peer.session.close_code == (1008 if closed else None)


def test_after_a_stall_nobody_has_said_more_than_the_rate_allows_since_it_began() -> None:
    server = Server()
    peer = server.meets()
    server.runs(2)
    server.stalls_for(4)
    server.reads(peer, "65", 5 * 60)  # in four seconds, both ends of them included
    assert peer.session.state is IN_ROOM
    server.reads(peer, "65", 1)
    assert peer.is_closed(1008)


def test_without_a_stall_the_61st_at_once_closes_and_so_does_a_rate_that_goes_on() -> None:
    server = Server()
    server.runs(5)
    peer = server.meets()  # its new_player is the first
    server.reads(peer, "65", 59)
    assert peer.session.state is IN_ROOM
    server.reads(peer, "65", 1)
    assert peer.is_closed(1008)
    peer = server.meets()
    for _ in range(200):
        server.runs(0.1)
        server.reads(peer, "65", 7)
    assert peer.session.state is CLOSING


def test_who_keeps_the_rate_exactly_is_never_closed_though_it_is_read_in_bunches() -> None:
    server = Server()
    peer = server.meets()
    for _ in range(50):
        server.runs(0.1)
        server.runs(0.05)
        server.reads(peer, "65", 9)
        server.runs(0.05)
        server.reads(peer, "65", 3)
    assert peer.session.state is IN_ROOM


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 40)), max_size=20))
def test_however_it_is_held_up_nobody_says_more_than_the_rate_allows(deeds: list[tuple[float, int]]) -> None:
    limit = 10
    server = Server()
    peer = server.meets(ConnectionLimits(max_messages=limit, max_faults=10_000))
    taken = 1
    for pause_s, messages in deeds:
        if pause_s > 0.25:
            server.stalls_for(pause_s)
        else:
            server.runs(pause_s)
        for _ in range(messages):
            server.reads(peer, "65", 1)
            taken += peer.session.state is IN_ROOM
    elapsed_s = (server.now - START) / SECOND
    assert taken <= limit * (elapsed_s // 1 + 2), "two turns before it came, at the earliest, and both ends"


def test_who_comes_after_a_stall_has_said_nothing_in_it() -> None:
    server = Server()
    server.stalls_for(9)
    peer = server.meets()  # its new_player is the first
    server.reads(peer, "65", 59)
    assert peer.session.state is IN_ROOM
    server.reads(peer, "65", 1)
    assert peer.is_closed(1008)


def test_faults_are_counted_by_when_they_can_have_come() -> None:
    server = Server()
    peer = server.meets()
    server.runs(1)
    server.reads(peer, "{", 1)
    server.stalls_for(12)  # in which it said another one, six seconds after the first and twelve before the next
    server.reads(peer, "{", 1)
    server.runs(5)
    server.reads(peer, "{", 1)
    assert peer.session.state is IN_ROOM
    server.reads(peer, "{", 2)  # which may have come in the stall, but not both
    assert peer.is_closed(1008)


# Time-outs


def test_a_new_player_that_lies_unread_is_read_before_its_peer_is_closed() -> None:
    server = Server()
    peer = Peer(stalls=server.stalls)
    server.runs(5)
    server.stalls_for(8)
    peer.now = server.now
    peer.wakes()
    assert peer.session.state is CONNECTED
    assert peer.session.deadline_us == server.now + SECOND
    assert peer.says(HELLO)


def test_an_answer_to_a_ping_that_lies_unread_is_read_before_its_peer_is_dead() -> None:
    server = Server()
    peer = server.meets()
    for _ in range(2):
        server.runs(20)
        peer.now = server.now
        peer.wakes()
    (*_, (name, payload)) = peer.hears()
    assert name == "PING"
    server.stalls_for(25)
    peer.now = server.now
    peer.wakes()
    assert peer.session.state is IN_ROOM
    peer.session.receive(Opcode.PONG, payload, server.now)
    server.runs(1)
    peer.now = server.now
    peer.wakes()
    assert [name for name, _ in peer.hears()] == ["PING"]


def test_an_answer_to_our_close_that_lies_unread_is_read_before_its_peer_is_aborted() -> None:
    server = Server()
    peer = server.meets()
    peer.session.close(1001, "bye", server.now)
    server.stalls_for(4)
    peer.now = server.now
    peer.wakes()
    assert peer.session.state is CLOSING
    peer.session.receive_close(1001, server.now)
    assert (peer.session.state, peer.session.aborted) == (ENDED, False)


@pytest.mark.parametrize("kind", ["connected", "silent", "closing", "echo"])
def test_a_server_that_is_held_up_again_and_again_ends_who_is_silent_all_the_same(kind: str) -> None:
    server = Server()
    peer = Peer(kind=EchoSession, stalls=server.stalls) if kind == "echo" else Peer(stalls=server.stalls)
    if kind == "silent":
        peer.enters()
    if kind == "closing":
        peer.session.close(1001, "bye", server.now)
    for _ in range(300):
        server.stalls_for(0.4)
        peer.now = server.now
        peer.wakes()
    assert peer.session.state is ENDED


# Standing still


def test_the_time_of_limits_is_that_in_which_the_process_ran_whoever_asks_first() -> None:
    for is_noted in (True, False):
        server = Server()
        server.runs(2)
        server.stands_still_for(60)
        if is_noted:
            server.stalls.note_turn(server.now)
        assert server.stalls.running_us(server.now) == START + 2 * SECOND
        assert server.stalls.woke_us == server.now
        server.runs(3)
        server.stalls_for(7)
        assert server.stalls.running_us(server.now) == START + 12 * SECOND, "what it computes is its own time"


def test_a_process_that_does_nothing_but_notes_its_turns_does_not_stand_still() -> None:
    server = Server()
    for _ in range(50):
        server.stands_still_for(0.1)
        server.stalls.note_turn(server.now)
    assert server.stalls.running_us(server.now) == START + 5 * SECOND


@pytest.mark.parametrize("kind", ["connected", "pinged", "closing", "echo"])
def test_who_answers_is_never_out_of_time_however_often_the_process_stands_still(kind: str) -> None:
    """As in a comparison, where it runs for a second of every eight."""
    server = Server()
    peer = Peer(kind=EchoSession, stalls=server.stalls) if kind == "echo" else Peer(stalls=server.stalls)
    if kind == "pinged":
        peer.enters()
    if kind == "closing":
        peer.session.close(1001, "bye", server.now)
    peer.hears()
    began_us, state = server.now, peer.session.state
    limit_us = peer.session.deadline_us - began_us
    while (ran_us := server.now - began_us - server.still_us) < limit_us - SECOND // 4:
        server.runs(0.2)
        server.stands_still_for(7)
        peer.now = server.now
        peer.wakes()
        assert (peer.hears(), peer.session.state) == ([], state), f"after {ran_us} of {limit_us}"
    for _ in range(15):  # and the second that who is spared has
        server.runs(0.1)
        peer.now = server.now
        peer.wakes()
    assert peer.hears() or peer.session.aborted, "its time passes while the process runs"
