"""
How late a relay is, by itself: from a publish in one process until two others have what was published.

``python -m tests.bench.relays [--frames 400] [--size 2000]`` sends frames at 20 Hz over each relay, on each backend. It
prints the lateness of the later of the two processes, and the CPU time of the relay's own process a frame. What a
server does beside it is not in it. It takes 20 s for each of eight lines; nothing else should run meanwhile.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil

from tests.support.relays import OF_PROCESSES, Peer, Relay

PERIOD_S = 0.05


def latenesses_ms(url: str, peers: list[Peer], frames: int, size: int) -> Iterator[float]:
    """Yield of each frame how late the later of two processes had it; the first of the three publishes."""
    publisher, *subscribers = peers
    bus = publisher.bus(url)
    subscriptions = [peer.bus(url).subscribe("frames") for peer in subscribers]
    due_s = time.monotonic()
    for _ in range(frames):
        for subscription in subscriptions:
            subscription.bus.peer.begin("late", subscription.name, 10)
        due_s += PERIOD_S
        time.sleep(max(0, due_s - time.monotonic()))
        assert publisher.tell("publish_time", bus.name, "frames", size)
        yield max(peer.answer() for peer in subscribers) / 1000


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--size", type=int, default=2000)
    given = parser.parse_args()
    print("| relay | backend | lateness p50, ms | p99, ms | max, ms | CPU of the relay a frame, us |")  # noqa: T201
    print("|---|---|---|---|---|---|")  # noqa: T201
    for scheme in OF_PROCESSES:
        for backend in ("asyncio", "gevent"):
            with ExitStack() as ends, tempfile.TemporaryDirectory() as folder:
                relay = Relay(scheme, Path(folder))
                ends.callback(relay.kill)
                relay.start()
                peers = [Peer(backend) for _ in range(3)]
                for peer in peers:
                    ends.callback(peer.kill)
                began_s = cpu_s(relay.pid)
                late = sorted(latenesses_ms(relay.url, peers, given.frames, given.size))
                used_us = (cpu_s(relay.pid) - began_s) / given.frames * 1_000_000
                p50, p99 = late[len(late) // 2], late[len(late) * 99 // 100]
                print(f"| {scheme} | {backend} | {p50:.2f} | {p99:.2f} | {late[-1]:.2f} | {used_us:.0f} |", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
