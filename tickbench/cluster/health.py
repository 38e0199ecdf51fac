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


def what_is_wrong(cluster: Cluster, folder: Path) -> str:
    """Say what does not answer of servers, relay and HAProxy, which has to see each server; nothing if all is well."""
    for number, server in enumerate(cluster.servers, 1):
        if not answers(f"http://{server}"):
            return f"server-{number} does not answer"
        if cluster.relay and (relay := silent_relay(f"http://{server}")):
            return f"the relay {relay} does not answer"
    if not answers(cluster.near_url):
        return "HAProxy does not answer"
    return "" if servers_up(folder) == len(cluster.servers) else "HAProxy does not see every server answer"


def silent_relay(url: str) -> str:
    """Return the relay of the server there, as it is shown, if it is not connected with it; else nothing."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        head, _, body = ask(url, b"/stats").partition(b"\r\n\r\n")
        relay = json.loads(body)["relay"] if WELL.match(head) else {}
        return "" if relay["is_up"] is True else str(relay["url"])
    return "of its servers"


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
