"""What is not there any more when it is accepted stops nobody from coming in."""

import errno
import socket
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from backends.gevent_server.frameworks.doorkeeper import DoorServer

OF_THE_CONNECTION = [errno.ECONNABORTED, errno.EPROTO, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EPERM, errno.EBADF]
OF_THE_LISTENER = [errno.EINVAL, errno.ENOTSOCK]


class TroubledListener:
    """A listening socket whose first accepts raise."""

    def __init__(self, listener: Any, *numbers: int) -> None:
        self.timeout = 0.0
        self._listener = listener
        self._numbers = list(numbers)

    def fileno(self) -> int:
        fileno: int = self._listener.fileno()
        return fileno

    def close(self) -> None:
        self._listener.close()

    @property
    def family(self) -> int:
        return socket.AF_INET

    type, proto = socket.SOCK_STREAM, 0

    def _accept(self) -> Any:
        if self._numbers:
            raise OSError(self._numbers.pop(0), "trouble")
        return self._listener._accept()


def serve(*numbers: int) -> tuple[Any, list[Any]]:
    """Return a server whose first accepts raise, and a list that will hold those whom it serves."""
    served: list[Any] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0)
    server: Any = DoorServer(listener, None)
    core = SimpleNamespace(turn_away=lambda _: None)
    server.gate = SimpleNamespace(host=SimpleNamespace(core=core))
    server.init_socket()
    server.socket = TroubledListener(server.socket, *numbers)
    server._handle = lambda sock, _: served.append(sock)
    server._stop_event.clear()
    server.start_accepting()
    return server, served


def test_a_connection_that_is_gone_when_it_is_accepted_stops_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    server, served = serve(*OF_THE_CONNECTION)
    address = server.socket._listener.getsockname()
    with socket.create_connection(address), socket.create_connection(address):
        turns = 0
        while len(served) < 2:
            gevent.sleep(0.001)
            turns += 1
            assert turns < 1000
        assert server.delay == server.min_delay, "it paused"
    server.stop()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("number", OF_THE_LISTENER)
def test_a_listener_that_is_none_is_said_to_be(number: int, capfd: pytest.CaptureFixture[str]) -> None:
    server, _ = serve(number)
    with socket.create_connection(server.socket._listener.getsockname()):
        gevent.sleep(0.05)
    assert server.closed
    assert "trouble" in capfd.readouterr().err
