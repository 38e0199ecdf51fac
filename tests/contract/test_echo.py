"""``/echo``: what comes goes back; it is there only with ``--echo``."""

import os

import pytest

from tests.support.bystander import undisturbed
from tests.support.client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, client_frame
from tests.support.server import RunningServer

pytestmark = pytest.mark.differs()

MIB = 2**20


def test_without_the_flag_there_is_no_echo(hasty_server: RunningServer) -> None:
    assert hasty_server.upgrade("/echo").status == 404
    assert hasty_server.request("/echo").status == 404


@pytest.mark.framework
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, MIB])
def test_messages_come_back_as_they_went(server: RunningServer, size: int) -> None:
    client = server.echo()
    text = "snake \U0001f40d".encode() * (size // 10) + b"." * (size % 10)
    client.send_frame(TEXT, text)
    assert client.receive_message() == (TEXT, text)
    data = os.urandom(size)
    client.send_frame(BINARY, data)
    assert client.receive_message() == (BINARY, data)


@pytest.mark.framework
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_fragments_are_joined(server: RunningServer, opcode: int) -> None:
    client = server.echo()
    client.send_frame(opcode, b"", fin=False)
    client.send_frame(CONTINUATION, "ä".encode()[:1], fin=False)
    client.send_frame(PING, b"between")
    client.send_frame(CONTINUATION, "ä".encode()[1:], fin=False)
    client.send_frame(CONTINUATION, b"")
    assert client.receive_frame() == (PONG, b"between")
    assert client.receive_frame() == (opcode, "ä".encode())


@pytest.mark.framework
def test_a_message_may_come_in_very_many_fragments(server: RunningServer) -> None:
    """As long as it has a byte for a few of them: an endless flood of empty ones is refused."""
    client, data = server.echo(), os.urandom(5000)
    opcodes = [BINARY, *[CONTINUATION] * (len(data) - 1)]
    client.send_raw(
        b"".join(client_frame(opcode, bytes([byte]), fin=False) for opcode, byte in zip(opcodes, data, strict=True))
    )
    client.send_frame(CONTINUATION, b"")
    assert client.receive_message() == (BINARY, data)


@pytest.mark.framework
def test_many_messages_come_back_in_order(server: RunningServer) -> None:
    client = server.echo()
    texts = [f"message {number}" for number in range(500)]
    client.send_raw(b"".join(client_frame(TEXT, text.encode()) for text in texts))
    assert [client.receive_text() for _ in texts] == texts


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_more_than_a_mebibyte_is_refused(server: RunningServer, room: str, opcode: int) -> None:
    with undisturbed(server, room):
        client = server.echo()
        client.send_frame(opcode, declared_length=MIB + 1)
        assert client.expect_close() == 1009


@pytest.mark.framework
def test_more_than_a_mebibyte_in_fragments_is_refused(server: RunningServer, room: str) -> None:
    with undisturbed(server, room):
        client = server.echo()
        client.send_frame(BINARY, b"x" * (MIB // 2), fin=False)
        client.send_frame(CONTINUATION, b"x" * (MIB // 2), fin=False)
        client.send_frame(CONTINUATION, declared_length=1)
        assert client.expect_close() == 1009


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (1007, client_frame(TEXT, b"\xff")),
        (1002, client_frame(3)),
        (1002, client_frame(CONTINUATION, b"x")),
        (1000, client_frame(CLOSE)),
        (3000, client_frame(CLOSE, (3000).to_bytes(2))),
    ],
    ids=["invalid UTF-8", "opcode 3", "continuation of nothing", "close", "close 3000"],
)
def test_it_is_a_websocket_as_the_other(server: RunningServer, room: str, code: int, data: bytes) -> None:
    with undisturbed(server, room):
        client = server.echo()
        client.send_raw(data)
        assert client.expect_close() == code


@pytest.mark.framework
def test_a_large_message_does_not_disturb_a_room(server: RunningServer, room: str) -> None:
    with undisturbed(server, room):
        client = server.echo()
        for _ in range(5):
            client.send_frame(BINARY, b"x" * MIB)
            assert len(client.receive_message().payload) == MIB
