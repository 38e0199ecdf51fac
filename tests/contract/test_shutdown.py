"""A stop: everybody is told, nobody can hold it up, and a second signal ends it at once."""

import signal
import socket
from contextlib import suppress

import pytest

from tests.conftest import Arm, Serve
from tests.support.client import CLOSE
from tests.support.server import RunningServer, run_server, stands_still, wait_until

pytestmark = pytest.mark.framework

SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", [*SIGNALS, signal.SIGHUP], ids=lambda number: number.name)
def test_everybody_gets_1001(serve: Serve, number: int) -> None:
    # No tick budget: what other tests make the machine do must not refuse anybody here.
    with serve("--echo", "--bots", "3", "--tick-budget", "0") as server:
        clients = [server.enter("main"), server.enter("main"), server.enter("other"), server.connect("main")]
        echo = server.echo()
        clients[0].join()
        server.signal(number)
        assert [client.expect_close() for client in (*clients, echo)] == [1001] * 5
        assert server.wait() == 0


@pytest.mark.differs
def test_a_hang_up_that_nohup_has_it_ignore_stays_ignored(arm: Arm) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which what we start inherits
    try:
        with run_server(arm.backend, *arm.flags, cold=True) as server:
            signal.signal(signal.SIGHUP, before)
            player = server.enter("main")
            server.signal(signal.SIGHUP)
            for _ in range(3):
                player.next_tick()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.differs
@pytest.mark.parametrize("fanout", ["library", "naive"])
def test_a_stalled_client_does_not_hold_it_up(serve: Serve, arm: Arm, fanout: str) -> None:
    with serve("--pad", "200000", "--fanout", fanout) as server:
        stall(server, arm)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


@pytest.mark.differs
def test_peers_that_leave_things_half_done_do_not_hold_it_up(serve: Serve) -> None:
    with serve("--handshake-limit", "60", "--keep-alive", "60") as server:
        for begun in (b"", b"GET /conn", b"GET /connect HTTP/1.1\r\nHost: localhost\r\n"):
            server.dial().sendall(begun)
        idle = server.keep_alive()  # one that has had its answer and may ask again
        assert idle.upgrade("/healthz", {}).status == 200
        silent = server.enter("main")
        server.signal(signal.SIGTERM)
        while (frame := silent.receive_frame()).opcode != CLOSE:
            pass
        assert frame.close_code == 1001  # which it does not answer
        assert server.wait() == 0


def test_nobody_gets_in_any_more(serve: Serve) -> None:
    with serve("--close-limit", "60", "--stop-limit", "60") as server:
        early, late = server.keep_alive(), server.keep_alive()
        for client in (early, late):
            assert client.upgrade("/healthz", {}).status == 200  # it is accepted for sure
        holds_it_up(server)
        wait_until(lambda: not accepts(server))
        for client, target in ((early, "/healthz"), (late, "/connect")):
            with suppress(EOFError, ConnectionError):  # it may have been ended with the others
                assert client.upgrade(target, {}).status == 503
        server.signal(signal.SIGKILL)
        server.wait()


@pytest.mark.differs
def test_a_drain_takes_nobody_and_lets_the_others_play_meanwhile(serve: Serve) -> None:
    with serve("--drain", "1", "--tick-rate", "50", "--tick-budget", "0") as server:
        players = [server.enter(room) for room in ("one", "one", "two", "two")]
        server.signal(signal.SIGTERM)
        wait_until(lambda: server.request("/healthz").status == 503)
        assert server.upgrade("/connect?room=one").status == 503
        assert players[0].expect_close() == 1001
        players[-1].until_due(server.stats()["now_us"])
        assert [player.expect_close() for player in players[1:]] == [1001] * 3
        assert server.wait() == 0


@pytest.mark.differs
def test_a_second_signal_ends_a_drain_at_once(serve: Serve) -> None:
    with serve("--drain", "60") as server:
        player = server.enter("main")
        server.signal(signal.SIGTERM)
        wait_until(lambda: server.request("/healthz").status == 503)
        player.next_tick()
        server.signal(signal.SIGTERM)
        assert server.wait() != 0


@pytest.mark.differs("thread", "process")
@pytest.mark.parametrize(("first", "second"), [SIGNALS, SIGNALS[::-1]], ids=["TERM and INT", "INT and TERM"])
def test_a_second_signal_ends_at_once(serve: Serve, first: int, second: int) -> None:
    with serve("--close-limit", "60", "--stop-limit", "60") as server:
        holds_it_up(server, first)
        wait_until(lambda: not accepts(server))
        assert server.process.poll() is None
        server.signal(second)
        assert server.wait() != 0


def holds_it_up(server: RunningServer, number: int = signal.SIGTERM) -> None:
    """Begin a stop that one who never answers could draw out to --stop-limit."""
    silent = server.enter("main")
    server.signal(number)
    while silent.receive_frame().opcode != CLOSE:
        pass


def accepts(server: RunningServer) -> bool:
    try:
        socket.create_connection(server.address, 1).close()
    except OSError:
        return False
    return True


def stall(server: RunningServer, arm: Arm) -> None:
    """Enter a room and stop reading; return when the server has something that it can't get rid of."""
    server.connect("main", receive_buffer_bytes=4096).send(["new_player", "stalled"])
    if arm.waits_for_nobody:
        wait_until(lambda: server.stats()["slow_skips"] or server.stats()["ticks"]["count"] >= 40)  # 8 MB
    else:
        wait_until(lambda: server.stats()["slow_skips"] or stands_still(server, "main"))
