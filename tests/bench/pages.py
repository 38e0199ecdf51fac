"""
What a scrape costs the ticks: CPU time of a whole request for /stats and /metrics, and the page alone, by rooms.

``python -m tests.bench.pages [--requests 200] [--rooms 1 1000]``: on each stack, a fresh server on the first core whose
rooms stand still meanwhile. Whole requests come one after the other over one connection, and cost what the server's
``process.cpu_s`` grew by; the page alone is what its ``pages`` say. Both in microseconds.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.client import Wire, request_bytes
from tests.support.server import RunningServer, run_server

STACKS = ("asyncio", "gevent")
PAGES = ("/stats", "/metrics")
FLAGS = ("--tick-rate", "200", "--room-linger", "3600", "--tick-budget", "0", "--max-rooms", "100000")
PAUSE_S = 0.025
"""A connection has 50 requests a second."""
WARM_UP_S = 3.0
"""Of ticks, so that there are histograms to report."""


@contextmanager
def on_the_first_core(stack: str) -> Iterator[RunningServer]:
    """Serve from the first core; this process has the last one meanwhile."""
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usable)})
    try:
        with run_server(stack, *FLAGS, cold=True) as server:
            os.sched_setaffinity(0, {max(usable)})
            yield server
    finally:
        os.sched_setaffinity(0, usable)


def open_rooms(server: RunningServer, rooms: int) -> None:
    """Have the server tick for a while, then leave it with so many rooms that nobody is in."""
    server.enter("room-0")
    time.sleep(WARM_UP_S)
    for number in range(1, rooms):
        server.connect(f"room-{number}")
        if number % 50 == 0:
            server.hang_up()
    server.settle()


def ask(wire: Wire, page: str) -> Any:
    """Return a page, seldom enough that the server makes it."""
    time.sleep(PAUSE_S)
    wire.send_raw(request_bytes("GET", page, {"Host": "localhost"}))
    answer = wire.read_response()
    assert answer.status == 200, answer
    return json.loads(answer.body) if page == "/stats" else None


def measure(server: RunningServer, page: str, requests: int) -> tuple[float, float]:
    """Return what a whole request costs, and the page alone, in microseconds."""
    with Wire(server.dial()) as wire:
        before = ask(wire, "/stats")
        for _ in range(requests):
            ask(wire, page)
        after = ask(wire, "/stats")
    others_us = after["pages"]["/stats"]["us"] / after["pages"]["/stats"]["count"] if page != "/stats" else 0
    whole_us = (after["process"]["cpu_s"] - before["process"]["cpu_s"]) * 1_000_000 - others_us
    made = {each: after["pages"][page][each] - before["pages"][page][each] for each in ("count", "us")}
    return whole_us / requests, made["us"] / made["count"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--rooms", type=int, nargs="+", default=[1, 1000])
    asked = parser.parse_args()
    sys.stdout.write("| us: whole request (page alone) | rooms | /stats | /metrics |\n|---|---|---|---|\n")
    for stack in STACKS:
        for rooms in asked.rooms:
            with on_the_first_core(stack) as server:
                open_rooms(server, rooms)
                cells = [measure(server, page, asked.requests) for page in PAGES]
            words = " | ".join(f"{whole:,.0f} ({alone:,.0f})" for whole, alone in cells)
            sys.stdout.write(f"| `{stack}` | {rooms:,} | {words} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
