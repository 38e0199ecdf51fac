import pytest

from shared.relay.url import RelayUrl, parse_relay_url


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("memory://", RelayUrl("memory", "", "memory://")),
        ("memory://tests", RelayUrl("memory", "tests", "memory://tests")),
        ("redis://localhost:6379", RelayUrl("redis", "redis://localhost:6379", "redis://localhost:6379")),
        ("redis://:secret@[::1]:7/2?x=y", RelayUrl("redis", "redis://:secret@[::1]:7/2?x=y", "redis://[::1]:7/2")),
        ("zmq+tcp://127.0.0.1:5555", RelayUrl("zmq", "tcp://127.0.0.1:5555", "zmq+tcp://127.0.0.1:5555")),
        ("zmq+ipc:///run/bus", RelayUrl("zmq", "ipc:///run/bus", "zmq+ipc:///run/bus")),
        ("unix:/run/bus", RelayUrl("unix", "/run/bus", "unix:/run/bus")),
        ("unix:///run/bus", RelayUrl("unix", "/run/bus", "unix:///run/bus")),
        ("unix:bus", RelayUrl("unix", "bus", "unix:bus")),
    ],
)
def test_what_each_relay_takes(url: str, parsed: RelayUrl) -> None:
    assert parse_relay_url(url) == parsed


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "a relay is one of redis://HOST:PORT, zmq+ipc://PATH, zmq+tcp://HOST:PORT, unix:PATH; not ''"),
        ("amqp://localhost", "a relay is one of redis://"),
        ("redis:localhost", "a relay is one of redis://"),
        ("redis://localhost:x", "the port of a relay is a number"),
        ("zmq+tcp://localhost", "zmq+tcp:// takes HOST:PORT, not 'localhost'"),
        ("zmq+tcp://localhost:99999", "zmq+tcp:// takes HOST:PORT"),
        ("zmq+ipc://", "the path of a relay's socket has 1 to 107 bytes, not 0"),
        ("unix:" + "x" * 108, "1 to 107 bytes, not 108"),
    ],
)
def test_what_none_takes_is_said_in_one_line(url: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 # what it says is looked at below
        parse_relay_url(url)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
