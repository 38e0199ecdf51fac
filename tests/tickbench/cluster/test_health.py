"""What does not answer while a cluster starts, and what ended a program of it, each by its name in one line."""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tickbench.cluster import running
from tickbench.cluster.health import what_is_wrong
from tickbench.cluster.plan import HERE, Cluster, Relay
from tickbench.cluster.programs import REDIS, find_programs
from tickbench.cluster.rendering import HAPROXY, REDIS_CONF, render
from tickbench.errors import RunFailedError

URL = "redis://10.0.0.5:6379"
PROGRAMS = find_programs(redis=True)
COMMANDS = {
    "haproxy": [PROGRAMS["haproxy"], "-W", "-db", "-f", HAPROXY],
    "relay": [PROGRAMS[REDIS], REDIS_CONF],
}


def planned(port: int, *ports: int, relay: Relay | None = None) -> Cluster:
    return Cluster(
        backend="gevent",
        flags=(),
        host=HERE,
        address=HERE,
        port=port,
        ports=ports,
        whole_port=7002,
        certificate=None,
        relay=relay,
    )


@contextmanager
def answering(pages: dict[str, Any]) -> Iterator[int]:
    """Answer with pages, on the port that is yielded."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(pages.get(self.path)).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer((HERE, 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_what_does_not_answer_is_named(tmp_path: Path) -> None:
    relay = {"is_up": False, "url": URL}
    with socket.socket() as bound, answering({"/stats": {"relay": relay}}) as server:
        bound.bind((HERE, 0))
        nobody = bound.getsockname()[1]

        def wrong(*places: int) -> str:
            return what_is_wrong(planned(*places, relay=Relay(URL)), tmp_path)

        assert wrong(nobody, nobody) == "server-1 does not answer"
        assert wrong(nobody, server, nobody) == f"the relay {URL} does not answer"
        relay["is_up"] = True
        assert wrong(nobody, server, nobody) == "server-2 does not answer"
        assert wrong(nobody, server, server) == "HAProxy does not answer"
        assert wrong(server, server) == "HAProxy does not see every server answer"
    with answering({}) as server:
        assert wrong(server, server) == "the relay of its servers does not answer"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_port_that_somebody_took_meanwhile_is_named(name: str, tmp_path: Path) -> None:
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
        cluster = planned(port, 7001, relay=Relay(f"redis://{HERE}:{port}", "redis", port))
        render(cluster, tmp_path, PROGRAMS["haproxy"], PROGRAMS[REDIS])
        with (tmp_path / f"{name}.log").open("wb") as log:
            done = subprocess.run(COMMANDS[name], cwd=tmp_path, stdout=log, stderr=log, timeout=30, check=False)
    match = running.ENDED.search(f"INFO exited: {name} (exit status {done.returncode}; not expected)")
    assert match
    with pytest.raises(RunFailedError, match=rf"{name} ended with exit status 1 .*{port}") as caught:
        running._complain(tmp_path, match)
    assert "\n" not in str(caught.value)
