"""Asks the processes of a cluster whether they are well: each server, HAProxy, and HAProxy about the servers."""

import csv
import json
import os
import re
import socket
from contextlib import suppress
from pathlib import Path

from tickbench.cluster.plan import Cluster
from tickbench.target import Access, connect

ASK_LIMIT_S = 2.0
REQUEST = b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
WELL = re.compile(rb"HTTP/1\.1 200 ")
SOCKET = "haproxy.sock"
"""Where HAProxy can be asked, in the folder of a cluster."""
MOST_BYTES = 2**20


def is_well(cluster: Cluster, folder: Path) -> bool:
    """Say whether every server answers, and HAProxy, which has seen each of them answer."""
    urls = [*(f"http://{server}" for server in cluster.servers), cluster.near_url]
    if not all(map(answers, urls)) or servers_up(folder) != len(cluster.servers):
        return False
    return cluster.relay is None or all(hears_relay(f"http://{server}") for server in cluster.servers)


def hears_relay(url: str) -> bool:
    """Say whether the server there is connected with its relay."""
    with suppress(OSError, ValueError, AttributeError):
        answer = ask(url, b"/stats")
        head, _, body = answer.partition(b"\r\n\r\n")
        return WELL.match(head) is not None and json.loads(body)["relay"]["is_up"] is True
    return False


def servers_up(folder: Path) -> int:
    """Return how many servers HAProxy takes for well; 0 if it can't be asked."""
    return len(_well(folder))


def is_up(folder: Path, name: str) -> bool:
    """Say whether HAProxy takes a server for well."""
    return name in _well(folder)


def _well(folder: Path) -> list[str]:
    text = ask_haproxy(folder, "show stat")
    rows = csv.DictReader(text.removeprefix("# ").splitlines())
    return [row["svname"] for row in rows if row["svname"].startswith("server-") and row["check_status"] == "L7OK"]


def ask_haproxy(folder: Path, command: str) -> str:
    """Return the answer to a command of HAProxy's management guide; nothing if it can't be asked."""
    answer = b""
    with suppress(OSError):
        place = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(ASK_LIMIT_S)
                connection.connect(f"/proc/self/fd/{place}/{SOCKET}")  # the path itself may be too long, see unix(7)
                connection.sendall(f"{command}\n".encode())
                while len(answer) < MOST_BYTES and (data := connection.recv(65536)):
                    answer += data
        finally:
            os.close(place)
    return answer.decode("utf-8", "replace")


def answers(url: str) -> bool:
    """Say whether whoever listens there answers that he is well."""
    with suppress(OSError):
        return WELL.match(ask(url, b"/healthz")) is not None
    return False


def ask(url: str, path: bytes) -> bytes:
    """Return the whole answer to a request; OSError if there is none."""
    answer = b""
    with connect(Access(verifies=False).target(url), ASK_LIMIT_S) as connection:
        connection.sendall(REQUEST % path)
        while len(answer) < MOST_BYTES and (data := connection.recv(65536)):
            answer += data
    return answer
