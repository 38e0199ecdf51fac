from shared.wire.frames import Opcode
from shared.wire.session import ENDED, IN_ROOM, ConnectionLimits, EchoSession, Outgoing
from tests.shared.wire.peer import Peer

_, TEXT, BINARY, CLOSE, PING, PONG = Opcode


def test_an_echo_sends_everything_back_as_it_came() -> None:
    peer = Peer(ConnectionLimits(max_messages=2), EchoSession)
    for _ in range(100):
        assert peer.session.receive(TEXT, "é{", peer.now) is None
        assert peer.session.receive(BINARY, b"\xff\x00", peer.now) is None
        assert peer.session.receive(PING, b"p", peer.now) is None
        assert peer.session.take_outgoing() == [
            Outgoing(TEXT, "é{".encode()),
            Outgoing(BINARY, b"\xff\x00"),
            Outgoing(PONG, b"p"),
        ]


def test_an_echo_needs_no_new_player_but_is_pinged() -> None:
    peer = Peer(kind=EchoSession)
    assert (peer.session.state, peer.session.deadline_us - peer.now) == (IN_ROOM, 20_000_000)
    for _ in range(2):
        peer.waits(20).wakes()
        assert [name for name, _ in peer.hears()] == ["PING"]
    peer.waits(20).wakes()
    assert peer.session.dead


def test_a_pong_keeps_an_echo_alive() -> None:
    peer = Peer(kind=EchoSession)
    for _ in range(4):
        peer.waits(20).wakes()
        ((_, payload),) = peer.hears()
        assert peer.session.receive(PONG, payload, peer.now) is None
    assert peer.session.state is IN_ROOM


def test_an_echo_that_closes_echoes_no_more() -> None:
    peer = Peer(kind=EchoSession)
    peer.session.close(1001, "", peer.now)
    assert [name for name, _ in peer.hears()] == ["CLOSE"]
    for opcode, data in ((TEXT, "x"), (BINARY, b"x"), (PING, b"x")):
        assert peer.session.receive(opcode, data, peer.now) is None
    assert peer.hears() == []
    peer.session.receive(CLOSE, 1000, peer.now)
    assert (peer.session.state, peer.hears()) == (ENDED, [])


def test_an_echo_answers_a_close() -> None:
    peer = Peer(kind=EchoSession)
    peer.session.receive(CLOSE, 3001, peer.now)
    assert (peer.session.state, peer.hears()) == (ENDED, [("CLOSE", (3001).to_bytes(2))])
