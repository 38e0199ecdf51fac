"""Which server HAProxy takes a room to, with the settings as they are rendered, before servers that name themselves."""

import http.client
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.client import request_bytes
from tests.support.server import wait_until
from tickbench.cluster.health import ask_haproxy, servers_up
from tickbench.cluster.plan import HERE, Cluster
from tickbench.cluster.ports import outer_port
from tickbench.cluster.programs import REDIS, find_programs
from tickbench.cluster.rendering import HAPROXY, render

TUNNEL = {"Host": HERE, "Connection": "Upgrade", "Upgrade": "tunnel"}
"""As HAProxy would look into a WebSocket's handshake."""
ROOMS = [f"room-{number}" for number in range(200)]


class NamedServer(ThreadingHTTPServer):
    """Answers with its port, which room it is asked for, and from where."""

    daemon_threads = True

    class Handler(BaseHTTPRequestHandler):
        server: "NamedServer"
        protocol_version = "HTTP/1.1"
        wbufsize = 65536  # an answer is one segment

        def do_GET(self) -> None:  # as the library has it
            if not self.path.startswith("/connect") or "Upgrade" not in self.headers:
                self.server.goes_on.wait(10)
            else:
                self.send_response(101)
                self.send_header("Connection", "Upgrade")
                self.send_header("Upgrade", self.headers["Upgrade"])
                self.end_headers()
                self.wfile.flush()
                self.rfile.read(1)  # until the connection ends
                return
            forwarded = ",".join(self.headers.get_all("X-Forwarded-For") or ())
            body = f"{self.connection.getsockname()[1]} {self.path} {forwarded}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    def __init__(self) -> None:
        self.goes_on = threading.Event()  # unless it hangs
        self.goes_on.set()
        super().__init__((HERE, 0), self.Handler)

    def handle_error(self, *_: object) -> None:
        """Say nothing of a check that HAProxy breaks off, as it does once it knows the status."""


@pytest.fixture
def servers() -> Iterator[list[NamedServer]]:
    """Four of them, which run."""
    servers = [NamedServer() for _ in range(4)]
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in servers]
    for thread in threads:
        thread.start()
    yield servers
    for server, thread in zip(servers, threads, strict=True):
        server.goes_on.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
def ports(servers: list[NamedServer]) -> list[int]:
    return [server.server_address[1] for server in servers]


class Front:
    """HAProxy in front of some of them."""

    def __init__(self, port: int, connection: http.client.HTTPConnection, folder: Path) -> None:
        self.port = port
        self.folder = folder
        self._connection = connection

    def ask(self, target: str, headers: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        """Return which server answers, what it was asked for, and whom it thinks it was asked by."""
        self._connection.request("GET", target, headers=dict(headers or {}))
        answer = self._connection.getresponse()
        assert answer.status == 200
        port, path, address = answer.read().decode().split(" ")
        return int(port), path, address

    def whose(self, target: str) -> tuple[int, str, str | None]:
        """Return the status of an answer, which server it is of, and which of how many HAProxy says it is."""
        self._connection.request("GET", target)
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode().partition(" ")[0], answer.getheader("Tickbench-Process")

    def places(self, rooms: Sequence[str] = ROOMS) -> dict[str, int]:
        """Return by which server each room is answered."""
        return {room: self.ask(f"/connect?room={room}")[0] for room in rooms}

    def tell(self, command: str) -> None:
        assert ask_haproxy(self.folder, command).strip() == ""


@contextmanager
def fronted(
    ports: Sequence[int], folder: Path, changes: Mapping[str, str] | None = None, flags: Sequence[str] = ()
) -> Iterator[Front]:
    """
    Run HAProxy before servers that have ``flags``.

    ``changes`` are made to its settings, so that a test need not wait.
    """
    folder.mkdir()
    port = outer_port(HERE, 0)
    cluster = Cluster(
        backend="asyncio",
        flags=tuple(flags),
        host=HERE,
        address=HERE,
        port=port,
        ports=tuple(ports),
        whole_port=outer_port(HERE, 0),
        certificate=None,
    )
    program = find_programs()["haproxy"]
    render(cluster, folder, program, REDIS)
    settings = folder / HAPROXY
    for old, new in (changes or {}).items():
        assert old in settings.read_text()
        settings.write_text(settings.read_text().replace(old, new))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-db", "-f", HAPROXY], cwd=folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: servers_up(folder) == len(ports))
        with closing(http.client.HTTPConnection(HERE, port, timeout=10)) as connection:
            yield Front(port, connection, folder)
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(10)


def test_a_server_that_comes_or_goes_moves_its_share_of_the_rooms_and_no_other(
    ports: list[int], tmp_path: Path
) -> None:
    with fronted(ports[:3], tmp_path / "three") as front:
        three = front.places()
    with fronted(ports, tmp_path / "four") as front:
        four = front.places()
    assert min(Counter(three.values()).values()) > 40, "of 67 each"
    assert min(Counter(four.values()).values()) > 30, "of 50 each"
    moved = [room for room in ROOMS if three[room] != four[room]]
    assert 30 <= len(moved) <= 70, "a quarter is 50"
    assert {four[room] for room in moved} == {ports[3]}


def test_rooms_of_a_server_that_is_away_move_alone_and_stay_where_players_are(ports: list[int], tmp_path: Path) -> None:
    with fronted(ports[:3], tmp_path / "front") as front:
        before = front.places()
        lost = [room for room in ROOMS if before[room] == ports[1]]
        asked, left_alone = lost[:20], lost[20:]
        front.tell("set server servers/server-2 state maint")
        away = front.places([room for room in ROOMS if room not in left_alone])
        assert {room for room, port in away.items() if port != before[room]} == set(asked)
        assert ports[1] not in away.values()
        front.tell("set server servers/server-2 state ready")
        wait_until(lambda: servers_up(front.folder) == 3)
        assert front.places() == before | away


def test_a_room_is_the_same_however_it_is_spelt_and_the_server_is_told_that(ports: list[int], tmp_path: Path) -> None:
    with fronted(ports[:3], tmp_path / "front") as front:
        places = front.places([*ROOMS[:20], "main"])
        for room in ROOMS[:20]:
            for query in (room.replace("-", "%2d"), f"{room}&room=main", f"{room}&x=1", f"{room};x=1"):
                assert front.ask(f"/connect?room={query}")[:2] == (places[room], f"/connect?room={room}")
        for target in ("/connect", "/connect?x=room"):
            assert front.ask(target)[:2] == (places["main"], "/connect?room=main")
        assert front.ask("/metrics?x=1")[:2] == (places["main"], "/metrics?x=1")
        assert front.ask("/connect?room=a%20%26b")[1] == "/connect?room=a%20%26b", (
            "which is none, and is refused as such"
        )


def test_the_servers_are_told_who_comes_and_believe_nobody_else(ports: list[int], tmp_path: Path) -> None:
    with fronted(ports[:1], tmp_path / "front") as front:
        assert front.ask("/", {"X-Forwarded-For": "192.0.2.7"})[2] == HERE


def test_who_is_with_a_server_that_hangs_is_let_go_and_meets_the_others_elsewhere(
    servers: list[NamedServer], ports: list[int], tmp_path: Path
) -> None:
    hasty = {"timeout check 1s": "timeout check 100ms", "inter 1s": "inter 100ms"}
    with fronted(ports[:2], tmp_path / "front", hasty) as front:
        room = next(room for room, port in front.places(ROOMS[:50]).items() if port == ports[0])
        with socket.create_connection((HERE, front.port), 10) as player:
            player.sendall(request_bytes("GET", f"/connect?room={room}", TUNNEL))
            assert player.recv(4096).startswith(b"HTTP/1.1 101")
            servers[0].goes_on.clear()
            assert player.recv(1) == b""
        assert front.places([room]) == {room: ports[1]}


def test_each_server_is_asked_for_its_own_figures_by_its_number(
    servers: list[NamedServer], ports: list[int], tmp_path: Path
) -> None:
    hasty = {"timeout server 4s": "timeout server 300ms"}
    with fronted(ports[:3], tmp_path / "front", hasty, ["--monitor"]) as front:
        for number in (1, 2, 3):
            assert front.whose(f"/stats?process={number}") == (200, str(ports[number - 1]), f"{number}/3")
        main = front.places(["main"])["main"]
        for target in ("/stats?room=main", "/stats?process=4&room=main", "/scores?process=2", "/monitor?process=2"):
            assert front.whose(target) == (200, str(main), None)
        front.tell("set server servers/server-2 state drain")
        assert front.whose("/stats?process=2") == (200, str(ports[1]), "2/3"), "players are still with it"
        servers[1].goes_on.clear()
        status, _, place = front.whose("/stats?process=2")
        assert (status, place) == (504, "2/3"), "nobody else answers for it"


def test_servers_without_the_page_for_operators_have_no_numbers(ports: list[int], tmp_path: Path) -> None:
    with fronted(ports[:2], tmp_path / "front") as front:
        main = front.places(["main"])["main"]
        for number in (1, 2):
            assert front.whose(f"/stats?process={number}&room=main") == (200, str(main), None)
