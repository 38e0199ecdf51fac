"""A cluster of two servers of each stack, as people start it: who meets whom, what dies with whom, what is left."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.browser import NEEDS_CHROMIUM, Visitor, open_browser
from tests.support.certificates import make_certificate
from tests.support.client import PATIENCE_S
from tests.support.cluster import RunningCluster, run_cluster
from tests.support.lockstep import Lockstep, Outcome, SlippedError
from tests.support.server import RunningServer, wait_until

pytestmark = pytest.mark.xdist_group("cluster")

FLAGS = (
    *("--seed", "7", "--tick-rate", "25", "--tick-budget", "0", "--room-linger", "0.1", "--drain", "0.3"),
    *("--echo", "--monitor"),
)
STEPS, ATTEMPTS = 30, 4
ENDS = {"asyncio": signal.SIGTERM, "gevent": signal.SIGINT}
"""How each is ended when its tests are over: what is promised of that is the same for both."""


@pytest.fixture(scope="module", params=ENDS)
def cluster(request: pytest.FixtureRequest) -> Iterator[RunningCluster]:
    with run_cluster(request.param, *FLAGS) as running:
        yield running
        running.end(ENDS[request.param])


def test_all_of_a_room_meet_in_one_process_and_rooms_are_in_several(cluster: RunningCluster) -> None:
    assert len(cluster.server_pids()) == 2
    for room in cluster.rooms_apart():
        first, second = cluster.enter(room, "first"), cluster.enter(room, "second")
        first.join()
        assert second.until(lambda tick: tick.named("p_joined")).named("p_joined")[0][2] == "first"
        assert cluster.directly(cluster.pid_of(room)).room_stats(room) is not None
        for player in (first, second):
            player.hang_up()


def test_pages_and_the_echo_are_there(cluster: RunningCluster) -> None:
    assert {cluster.request(target).status for target in ("/", "/client.js", "/healthz", "/metrics", "/scores")} == {
        200
    }
    assert cluster.upgrade("/connect?room=no%20name").status == 404
    echo = cluster.echo()
    echo.send_text("as it is")
    assert echo.receive_text() == "as it is"


def test_each_process_tells_of_itself_by_its_number(cluster: RunningCluster) -> None:
    answers = [cluster.request(f"/stats?process={number}") for number in (1, 2)]
    assert [answer.headers["tickbench-process"] for answer in answers] == ["1/2", "2/2"]
    assert {json.loads(answer.body)["process"]["pid"] for answer in answers} == {*cluster.server_pids()}
    assert "tickbench-process" not in cluster.request("/stats").headers


@NEEDS_CHROMIUM
def test_operators_see_all_processes_and_their_sum(cluster: RunningCluster) -> None:
    rooms = cluster.rooms_apart()
    players = [cluster.enter(room, "zaphod") for room in rooms]
    with open_browser() as browser:
        visitor = Visitor(browser, 1280)
        visitor.page.goto(f"{cluster.url}/monitor")
        visitor.page.get_by_text("All 2 processes answer.").wait_for()
        for room in rooms:
            visitor.page.locator("#rooms-body tr", has_text=room).wait_for()
        apart = [cluster.json(f"/stats?process={number}")["connections"] for number in (1, 2)]
        assert min(apart) > 0
        visitor.page.locator("#processes-foot td:nth-child(3)", has_text=re.compile(f"^{sum(apart)}$")).wait_for()
        said = visitor.page.inner_text("#processes")
        visitor.page.close()
    assert all(f"(pid {pid})" in said for pid in cluster.server_pids())
    assert visitor.complaints == []
    for player in players:
        player.hang_up()


def test_commands_are_the_same_through_haproxy_and_directly(cluster: RunningCluster) -> None:
    through = played(cluster)
    assert through.births > 5
    assert played(cluster.directly(cluster.pid_of("lockstep"))) == through


def played(server: RunningServer) -> Outcome:
    """Return what a game came to that begins with an empty room."""
    for _ in range(ATTEMPTS):
        try:
            return Lockstep(server, STEPS).run()
        except SlippedError:
            continue
        finally:
            server.hang_up()
            wait_until(lambda: server.request("/stats?room=lockstep").body.find(b'"lockstep"') < 0)
    raise AssertionError(f"{ATTEMPTS} times an input was late: this machine is too busy for this test")


def test_who_is_in_another_process_loses_nothing_when_one_dies_and_that_comes_back(cluster: RunningCluster) -> None:
    doomed, spared = cluster.rooms_apart()
    victim = psutil.Process(cluster.pid_of(doomed))
    player, witness = cluster.enter(doomed), cluster.enter(spared)
    beside = cluster.directly(cluster.pid_of(spared))
    other = beside.enter(spared)  # what the server skips on a busy machine it skips for both
    player.next_tick()
    witness.next_tick()
    victim.kill()
    player.read_to_eof()  # which it would wait for in vain if nobody told it
    wait_until(lambda: cluster.upgrade(f"/connect?room={doomed}").status == 101, 3 * PATIENCE_S)
    assert cluster.pid_of(doomed) not in (victim.pid, cluster.pid_of(spared)), "its rooms are where they were"
    cluster.enter(doomed).next_tick()
    other.ping()
    last = other.ticks[-1].n
    witness.until(lambda tick: tick.n >= last)
    seen = [tick.text for tick in witness.ticks if other.ticks[0].n <= tick.n <= last]
    assert len(seen) > 10
    assert seen == [tick.text for tick in other.ticks if tick.n <= last]
    beside.hang_up()
    assert len(cluster.server_pids()) == 2


@pytest.mark.parametrize("cluster", ["asyncio"], indirect=True)
def test_a_restart_takes_one_server_after_the_other_and_turns_nobody_away(cluster: RunningCluster) -> None:
    before = set(cluster.server_pids())
    rooms = cluster.rooms_apart()
    players = [cluster.enter(room) for room in rooms]
    cluster.expected_log = "restarted: every server, one after the other\n"
    cluster.signal(signal.SIGHUP)
    fewest = 2
    while cluster.log != cluster.expected_log:
        answers = [cluster.upgrade(f"/connect?room={room}") for room in rooms]
        assert {answer.status for answer in answers} == {101}, answers
        fewest = min(fewest, len(cluster.server_pids()))
    assert fewest == 1
    assert not before & set(cluster.server_pids())
    assert [player.expect_close() for player in players] == [1001, 1001]


def test_one_with_tls_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    with run_cluster("asyncio", options=["--tls", str(certificate.both)]) as running:
        assert running.url.startswith("https://127.0.0.1:")
        with certificate.trusting().wrap_socket(running.dial(), server_hostname="127.0.0.1") as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        running.end(signal.SIGKILL)
