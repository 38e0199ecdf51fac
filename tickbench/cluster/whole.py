"""
Answers ``/stats`` for a whole cluster: the counters of its servers added up, CPU time and memory of all its processes.

``python -m tickbench.cluster.whole PORT HOST:PORT ...`` is one of supervisord's programs. HAProxy sends it whoever asks
for ``/stats`` without naming a room, so that a load test, a comparison or a page sees the cluster as one server, whose
process is supervisord's: what it started (servers, HAProxy, the relay, this) is counted with it.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import psutil

from shared.measure.histogram import Histogram, HistogramSummary
from shared.system.quotas import read_quotas
from tickbench.cluster.health import ask

Page = dict[str, Any]

SUMS = ("connections", "ticks", "refused")
"""What is added up beside the counters, which stand between ``ticks`` and ``refused``."""
OF_THE_FIRST = ("python", "packages", "gc_thresholds", "gc_frozen")
"""What of ``process`` is the same of all servers."""
HISTOGRAM = "hdr"
"""What a histogram's object has, and no other."""


class ServerSilentError(Exception):
    """A server does not answer."""


def merge(pages: Sequence[Page], process: Page) -> Page:
    """Return one page for those of several servers of the same settings; ``process`` is the whole's."""
    first = pages[0]
    whole = {**first}
    names = list(first)
    counters = names[names.index("ticks") + 1 : names.index("refused")]
    for name in (*SUMS, *counters):
        whole[name] = added([page[name] for page in pages])
    whole["started_us"] = min(page["started_us"] for page in pages)
    whole["now_us"] = max(page["now_us"] for page in pages)
    whole["rooms"] = rooms_of(pages)
    if "relay" in first:
        whole["relay"] = added([page["relay"] for page in pages])
    whole["process"] = process | {name: first["process"][name] for name in OF_THE_FIRST}
    whole["processes"] = [
        {"pid": page["process"]["pid"], "connections": page["connections"], "rooms": len(page["rooms"])}
        | {name: page["process"][name] for name in ("cpu_s", "rss_bytes")}
        for page in pages
    ]
    return whole


def added(values: Sequence[Any]) -> Any:
    """Return numbers, histograms and objects of them added up; of truth whether it is so of all, of words the first."""
    first = values[0]
    if isinstance(first, bool):
        return all(values)
    if isinstance(first, int | float):
        return sum(values)
    if isinstance(first, dict) and HISTOGRAM in first:
        return histogram(values)
    if isinstance(first, dict):
        names = dict.fromkeys(name for value in values for name in value)
        return {name: added([value[name] for value in values if name in value]) for name in names}
    return first


def histogram(summaries: Iterable[Page]) -> Any:
    """Return the summary of all values together."""
    whole = Histogram()
    for summary in summaries:
        whole.add(Histogram.from_summary(msgspec.convert(summary, HistogramSummary)))
    return msgspec.to_builtins(whole.summary())


def rooms_of(pages: Iterable[Page]) -> list[Page]:
    """Return the rooms of all; of one that several have, the members of all, and else what the furthest says."""
    rooms: dict[str, Page] = {}
    for page in pages:
        for room in page["rooms"]:
            known = rooms.get(room["name"])
            if known is None:
                rooms[room["name"]] = room
                continue
            ahead = max(known, room, key=lambda each: each["n"])
            rooms[room["name"]] = ahead | {"members": max(known["members"], room["members"])}
    return list(rooms.values())


def family(pid: int) -> Page:
    """Return CPU time, memory and all that is counted of a process and what it has started, whether it has ended."""
    parent = psutil.Process(pid)
    cpu_s, rss_bytes, threads, fds, cpus = 0.0, 0, 0, 0, set[int]()
    children = parent.children(recursive=True)
    for each in (parent, *children):
        with contextlib.suppress(psutil.NoSuchProcess), each.oneshot():
            times = each.cpu_times()
            cpu_s += times.user + times.system + times.children_user + times.children_system
            rss_bytes += each.memory_info().rss
            threads += each.num_threads()
            fds += each.num_fds()
            cpus.update(each.cpu_affinity())
    return {
        "pid": pid,
        "children": [child.pid for child in children],
        "cpu_s": cpu_s,
        "rss_bytes": rss_bytes,
        "threads": threads,
        "fds": fds,
        "cpus": sorted(cpus),
        "quotas": msgspec.to_builtins(read_quotas()),
        "not_read": None,
    }


def page_of(server: str) -> Page:
    """Return what a server says; :class:`ServerSilentError` if it says nothing of the kind."""
    try:
        head, _, body = ask(f"http://{server}", b"/stats").partition(b"\r\n\r\n")
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise ServerSilentError(server)
        return msgspec.json.decode(body, type=Page)
    except (OSError, msgspec.MsgspecError) as error:
        raise ServerSilentError(server) from error


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    timeout = 5.0
    protocol_version = "HTTP/1.1"

    def __init__(self, make: Callable[[], Page], *arguments: Any) -> None:
        self._make = make
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer with the page, or with 503 where a server is silent."""
        try:
            status, kind, body = HTTPStatus.OK, "application/json", msgspec.json.encode(self._make())
        except ServerSilentError as error:
            status, kind = HTTPStatus.SERVICE_UNAVAILABLE, "text/plain; charset=utf-8"
            body = f"the server at {error} does not answer\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    port, *servers = sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    supervisor = os.getppid()

    def make() -> Page:
        return merge([page_of(server) for server in servers], family(supervisor))

    with ThreadingHTTPServer(("127.0.0.1", int(port)), partial(Handler, make)) as server:
        server.daemon_threads = True
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
