"""Every transition of a connection, on a clock that the test turns."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.wire.errors import InvariantError
from shared.wire.frames import CloseCode, Opcode
from shared.wire.messages import JoinRequest, Key, NewPlayer
from shared.wire.session import (
    CLOSING,
    CONNECTED,
    ECHO_LIMIT_BYTES,
    ENDED,
    IN_ROOM,
    ConnectionLimits,
    EchoSession,
    Outgoing,
    Session,
    SessionState,
)
from tests.shared.wire.peer import HELLO, SECOND, START, Peer

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = Opcode

# Limits


def test_the_limits_are_those_of_the_protocol() -> None:
    limits = ConnectionLimits()
    assert limits == ConnectionLimits(
        max_message_bytes=4096,
        max_messages=60,
        max_faults=3,
        fault_window_s=10.0,
        new_player_limit_s=10.0,
        max_unnamed=500,
        ping_interval_s=20.0,
        max_missed_pings=2,
        close_limit_s=1.0,
    )
    assert limits.silence_limit_s == 60
    assert ECHO_LIMIT_BYTES == 1024 * 1024


# Coming in


def test_a_connection_begins_outside_with_nothing_to_hear() -> None:
    peer = Peer()
    assert (peer.session.state, peer.session.is_open, peer.hears()) == (CONNECTED, True, [])
    assert (peer.session.player_id, peer.session.name, peer.session.close_code) == (None, "", None)


def test_new_player_is_the_room_s_to_answer() -> None:
    peer = Peer()
    assert peer.says('["new_player"," ann "]') == NewPlayer("ann")
    assert (peer.session.state, peer.hears()) == (CONNECTED, [])
    peer.session.enter(7, "ann", b'[["handshake","ann",7]]', peer.now)
    assert (peer.session.state, peer.session.player_id, peer.session.name) == (IN_ROOM, 7, "ann")
    assert peer.hears() == [[["handshake", "ann", 7]]]


@pytest.mark.parametrize("text", ['["join"]', "37", "65", '["ping",1]'])
def test_anything_before_new_player_is_a_fault(text: str) -> None:
    peer = Peer()
    assert peer.says(text) is None
    assert peer.hears() == [[["error", "new_player comes first"]]]


def test_a_second_new_player_is_a_fault() -> None:
    peer = Peer().enters()
    assert peer.says('["new_player","bob"]') is None
    assert peer.hears() == [[["error", "new_player comes once"]]]
    assert peer.session.name == "ann"


def test_in_the_room_join_and_keys_are_handed_on() -> None:
    peer = Peer().enters()
    assert [peer.says('["join"]'), peer.says("37")] == [JoinRequest(), Key(37)]
    assert peer.hears() == []


def test_other_integers_are_ignored_not_counted_as_faults() -> None:
    peer = Peer().enters()
    assert [peer.says("65") for _ in range(10)] == [None] * 10
    assert (peer.hears(), peer.session.state) == ([], IN_ROOM)


def test_a_ping_is_answered_at_once() -> None:
    peer = Peer().enters().waits(1)
    assert peer.says('["ping",1.5]') is None
    assert peer.hears() == [[["pong", 1.5, START + SECOND]]]


# Faults


@pytest.mark.parametrize("text", ["{", '["fly"]', '["join",1]', '["new_player",""]'])
def test_a_fault_is_answered_with_an_error(text: str) -> None:
    peer = Peer()
    peer.says(text)
    ((command,),) = peer.hears()
    assert command[0] == "error"
    assert len(command[1]) > 5
    assert peer.session.state is CONNECTED


@pytest.mark.parametrize(("gap_s", "closed"), [(4.9, True), (4.999999, True), (5.0, False), (6, False)])
def test_the_third_fault_within_ten_seconds_closes(gap_s: float, *, closed: bool) -> None:
    peer = Peer().enters()
    peer.says("{")
    peer.waits(gap_s).says("{")
    assert [command for (command,) in peer.hears()] == [["error", "not JSON"]] * 2
    peer.waits(gap_s).says("{")
    if closed:
        assert peer.is_closed(1008)
    else:
        assert peer.hears() == [[["error", "not JSON"]]]


def test_the_window_of_faults_slides() -> None:
    peer = Peer().enters()
    for _ in range(10):
        peer.waits(5).says("{")
    assert peer.session.state is IN_ROOM
    peer.waits(4.9).says("{")
    assert peer.session.state is CLOSING


def test_good_messages_between_do_not_pardon() -> None:
    peer = Peer().enters()
    for text in ("{", "37", "{", "37", "{"):
        peer.waits(1).says(text)
    assert peer.is_closed(1008)


# Rate


def test_sixty_messages_a_second_are_taken_and_one_more_closes() -> None:
    peer = Peer(ConnectionLimits(max_messages=60)).enters()  # its new_player is the first
    for _ in range(59):
        peer.waits(0.016).says("65")
    assert peer.session.state is IN_ROOM
    assert peer.says("37") is None
    assert peer.is_closed(1008)


@pytest.mark.parametrize(("early_us", "state"), [(0, IN_ROOM), (1, CLOSING)])
def test_the_window_of_messages_slides_exactly(early_us: int, state: SessionState) -> None:
    peer = Peer(ConnectionLimits(max_messages=3))
    peer.says(HELLO)
    peer.session.enter(7, "ann", b"[1]", peer.now)
    peer.now += 400_000
    peer.says("65")
    peer.now += 300_000
    peer.says("65")
    peer.now = START + SECOND
    peer.says("65")  # the first is a second old, so it no longer counts
    assert peer.session.state is IN_ROOM
    peer.now = START + 400_000 + SECOND - early_us
    peer.says("65")
    assert peer.session.state is state


def test_every_kind_of_message_counts() -> None:
    extras: list[tuple[Opcode, str | bytes]] = [(TEXT, "65"), (PING, b""), (PONG, b""), (BINARY, b"")]
    for opcode, data in extras:
        peer = Peer(ConnectionLimits(max_messages=4)).enters()
        peer.session.receive_ping(b"", peer.now)
        peer.session.receive_pong(b"", peer.now)
        peer.says("{")
        assert peer.session.state is IN_ROOM
        peer.session.receive(opcode, data, peer.now)
        assert peer.is_closed(1008)


@given(st.lists(st.integers(0, 400_000), max_size=60))
def test_the_rate_is_never_above_the_limit_and_nobody_below_is_closed(gaps_us: list[int]) -> None:
    peer, times = Peer(ConnectionLimits(max_messages=5, max_faults=1000)), list[int]()
    for gap_us in gaps_us:
        peer.now += gap_us
        too_many = sum(peer.now - time < SECOND for time in times) >= 5
        peer.says("65")
        assert (peer.session.state is CLOSING) == too_many
        if too_many:
            return
        times.append(peer.now)


# Kinds of frames


def test_a_binary_message_closes_with_1003() -> None:
    peer = Peer().enters()
    peer.session.receive_binary(peer.now)
    assert peer.is_closed(1003)


def test_a_ping_frame_is_answered_with_its_payload() -> None:
    peer = Peer()
    peer.session.receive_ping(b"\xffx", peer.now)
    assert peer.hears() == [("PONG", b"\xffx")]


def test_receive_takes_every_kind() -> None:
    peer = Peer()
    assert peer.session.receive(TEXT, HELLO, peer.now) == NewPlayer("ann")
    peer.session.enter(7, "ann", b"[1]", peer.now)
    assert peer.session.receive(TEXT, "37", peer.now) == Key(37)
    assert peer.session.receive(PING, b"x", peer.now) is None
    assert peer.session.receive(PONG, b"x", peer.now) is None
    assert peer.hears() == [[1], ("PONG", b"x")]
    assert peer.session.receive(CLOSE, 1001, peer.now) is None
    assert (peer.session.state, peer.hears()) == (ENDED, [("CLOSE", b"\x03\xe9")])
    peer = Peer()
    assert peer.session.receive(BINARY, b"x", peer.now) is None
    assert peer.is_closed(1003)


@pytest.mark.parametrize(
    ("opcode", "data"), [(TEXT, b"x"), (CLOSE, b"x"), (PING, "x"), (PONG, 1), (CONTINUATION, b"x")], ids=str
)
def test_a_frame_with_the_wrong_type_is_our_own_fault(opcode: Opcode, data: str | bytes | int) -> None:
    with pytest.raises(InvariantError):
        Peer().session.receive(opcode, data, START)


# Closing


@pytest.mark.parametrize(("code", "answer"), [(1000, 1000), (1001, 1001), (0, 1000), (4000, 4000), (1006, 1002)])
def test_a_close_is_answered_and_ends(code: int, answer: int) -> None:
    peer = Peer().enters()
    peer.session.receive_close(code, peer.now)
    assert (peer.session.state, peer.session.aborted) == (ENDED, False)
    assert peer.session.has_gone
    assert peer.hears() == [("CLOSE", answer.to_bytes(2))]
    assert peer.session.close_code == answer


@pytest.mark.parametrize(
    ("code", "label"), [(1000, "peer"), (4999, "peer"), (0, "peer"), (1002, "peer"), (1006, "1002"), (999, "1002")]
)
def test_codes_that_peers_choose_are_counted_as_one(code: int, label: str) -> None:
    peer = Peer().enters()
    assert peer.session.close_label is None
    peer.session.receive_close(code, peer.now)
    assert peer.session.close_label == label


def test_our_own_codes_are_counted_each_whatever_the_peer_answers() -> None:
    peer = Peer().enters()
    peer.session.close(CloseCode.GOING_AWAY, "bye", peer.now)
    peer.session.receive_close(4711, peer.now)
    assert peer.session.close_label == "1001"


def test_all_codes_that_there_are_make_few_labels() -> None:
    labels = set()
    for code in (0, *range(65536)):
        peer = Peer()
        peer.session.receive_close(code, peer.now)
        labels.add(peer.session.close_label)
    assert labels == {"peer", "1002"}


def test_our_close_is_answered_and_ends() -> None:
    peer = Peer().enters()
    peer.session.close(1001, "bye", peer.now)
    assert peer.hears() == [("CLOSE", b"\x03\xe9bye")]
    peer.session.receive_close(1001, peer.now)
    assert (peer.session.state, peer.session.close_code, peer.hears()) == (ENDED, 1001, [])


def test_the_first_close_counts() -> None:
    peer = Peer().enters()
    peer.session.close(1001, "bye", peer.now)
    peer.session.close(1011, "oops", peer.waits(0.5).now)
    assert (peer.session.close_code, peer.hears()) == (1001, [("CLOSE", b"\x03\xe9bye")])
    peer.waits(0.5).wakes()
    assert peer.session.aborted, "the second close moved the deadline"


def test_the_end_of_the_stream_ends_without_a_word() -> None:
    peer = Peer().enters()
    peer.session.receive_eof()
    assert (peer.session.state, peer.session.aborted, peer.session.close_code) == (ENDED, False, None)
    peer.session.close(1001, "bye", peer.now)
    peer.session.send(b"[]")
    assert (peer.session.state, peer.hears()) == (ENDED, [])


def test_what_comes_while_closing_is_not_looked_at() -> None:
    peer = Peer().enters()
    peer.session.close(1001, "", peer.now)
    peer.hears()
    assert peer.session.receive(TEXT, '["join"]', peer.now) is None
    for _ in range(200):
        peer.session.receive(PING, b"", peer.now)
        peer.session.receive(TEXT, "{", peer.now)
    assert (peer.session.state, peer.session.close_code, peer.hears()) == (CLOSING, 1001, [])


# Time


def test_without_new_player_it_is_closed_after_ten_seconds() -> None:
    peer = Peer()
    assert peer.session.deadline_us == START + 10 * SECOND
    assert peer.waits(9.5).session.deadline_us == peer.now + SECOND // 2
    peer.says("{")  # a fault is no accepted new_player
    peer.waits(0.499999).wakes()
    assert peer.session.state is CONNECTED
    peer.waits(0.000001).wakes()
    assert peer.is_closed(1008)


def test_with_new_player_it_is_not() -> None:
    peer = Peer().waits(9).enters()
    peer.waits(1.5).wakes()
    assert (peer.session.state, peer.hears()) == (IN_ROOM, [])


def test_a_peer_that_does_not_answer_our_close_is_aborted() -> None:
    peer = Peer().enters()
    peer.session.close(1008, "", peer.now)
    assert peer.session.deadline_us - peer.now == 1 * SECOND
    peer.waits(0.999999).wakes()
    assert peer.session.state is CLOSING
    peer.waits(0.000001).wakes()
    assert (peer.session.state, peer.session.aborted, peer.session.dead) == (ENDED, True, False)
    assert not peer.session.has_gone, "it had to be ended"


def test_it_is_pinged_every_twenty_seconds() -> None:
    peer = Peer().waits(3).enters()
    pings = []
    for _ in range(200):
        assert peer.session.deadline_us - peer.now == 20 * SECOND
        peer.waits(19.999999).wakes()
        assert peer.hears() == []
        peer.waits(0.000001).wakes()
        ((name, payload),) = peer.hears()
        assert (name, len(payload) <= 125) == ("PING", True)
        pings.append(payload)
        peer.session.receive_pong(payload, peer.now)
    assert len(set(pings)) == 200, "an old pong must not answer a new ping"


def test_a_peer_that_does_not_answer_two_pings_is_dead() -> None:
    peer = Peer().enters()
    for _ in range(2):
        peer.waits(20).wakes()
        assert [name for name, _ in peer.hears()] == ["PING"]
    peer.waits(19.999999).wakes()
    assert peer.session.state is IN_ROOM
    peer.waits(0.000001).wakes()
    assert (peer.session.state, peer.session.aborted, peer.session.dead) == (ENDED, True, True)
    assert (peer.hears(), peer.session.close_code) == ([], None)


def test_an_answer_to_the_second_ping_saves_it() -> None:
    peer = Peer().enters()
    for _ in range(10):
        peer.waits(20).wakes()
        peer.hears()
        peer.waits(20).wakes()
        ((_, payload),) = peer.hears()
        peer.session.receive_pong(payload, peer.now)
    assert peer.session.state is IN_ROOM


@pytest.mark.parametrize("pong", [b"", b"x"])
def test_any_other_pong_proves_nothing(pong: bytes) -> None:
    peer = Peer().enters()
    for _ in range(3):
        peer.waits(20).wakes()
        peer.session.receive_pong(pong, peer.now)
        peer.says("65")
    assert peer.session.dead


def test_a_pong_to_an_older_ping_proves_nothing() -> None:
    peer = Peer().enters()
    peer.waits(20).wakes()
    ((_, first),) = peer.hears()
    peer.waits(20).wakes()
    peer.session.receive_pong(first, peer.now)
    peer.waits(20).wakes()
    assert peer.session.dead


def test_the_dead_stay_dead() -> None:
    peer = Peer().enters()
    peer.session.receive_eof()
    peer.waits(1000).wakes()
    assert (peer.session.aborted, peer.session.dead, peer.hears()) == (False, False, [])


# Whatever comes

TEXTS = st.sampled_from([HELLO, '["join"]', "37", "65", '["ping",1]', "{", '["fly"]'])
DEEDS = st.one_of(
    st.tuples(st.just("says"), TEXTS),
    st.tuples(st.sampled_from(["receive_ping", "receive_pong"]), st.sampled_from([b"", b"1", b"2"])),
    st.tuples(st.sampled_from(["receive_binary", "wake", "receive_eof", "close", "send"]), st.none()),
    st.tuples(st.just("receive_close"), st.sampled_from([0, 1000, 1006])),
    st.tuples(st.just("waits"), st.sampled_from([0.0, 0.01, 1.0, 10.0, 20.0])),
)


@given(st.sampled_from([Session, EchoSession]), st.lists(DEEDS, max_size=30))
@settings(max_examples=200)
def test_nothing_follows_a_close_frame_and_nothing_ends_twice(
    kind: type[Session], deeds: list[tuple[str, Any]]
) -> None:
    peer, heard = Peer(ConnectionLimits(max_messages=8), kind), list[Outgoing]()
    session, path = peer.session, [peer.session.state]
    for name, argument in deeds:
        peer.does(name, argument)
        path.append(session.state)
        heard += session.take_outgoing()
    closes = [index for index, outgoing in enumerate(heard) if outgoing.opcode is CLOSE]
    assert closes in ([], [len(heard) - 1])
    assert bool(closes) == (session.close_code is not None)
    assert path == sorted(path, key=list(SessionState).index), "a connection never goes back to an earlier state"
    assert session.take_outgoing() == []
    assert session.is_open == (path[-1] in (CONNECTED, IN_ROOM))
    if session.aborted:
        assert session.state is ENDED
