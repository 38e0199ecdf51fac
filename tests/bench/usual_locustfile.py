"""
The usual way to load a WebSocket server with Locust: websocket-client, a greenlet a user, an event a frame.

It is measured beside ours by tests/bench/generator.py, with the same clock: CPU time of the process a frame. It prints
one line of JSON about a window of USUAL_SECONDS that begins when all users are in.
"""

import json
import os
import sys
import time

import gevent
import websocket
from locust import User, events, task

WARM_UP_S = 2.0


class Counts:
    """What all users received, and how late they believe it was."""

    def __init__(self) -> None:
        self.connected = 0
        self.frames = 0
        self.late_us: list[int] = []


COUNTS = Counts()


class UsualUser(User):
    """Waits in a greenlet of its own for each frame."""

    def on_start(self) -> None:
        self.socket = websocket.create_connection(f"{self.host}/connect")
        self.socket.send(json.dumps(["new_player", "usual"]))
        COUNTS.connected += 1

    @task
    def receive(self) -> None:
        text = self.socket.recv()
        late_us = time.time_ns() // 1000 - json.loads(text)[0][2]
        COUNTS.frames += 1
        COUNTS.late_us.append(late_us)
        self.environment.events.request.fire(
            request_type="WS",
            name="tick",
            response_time=late_us / 1000,
            response_length=len(text),
            exception=None,
            context={},
        )


def measure(environment: object) -> None:
    users = environment.parsed_options.num_users  # type: ignore[attr-defined]
    while COUNTS.connected < users:
        gevent.sleep(0.1)
    gevent.sleep(WARM_UP_S)
    COUNTS.frames, COUNTS.late_us = 0, []
    began_s, cpu_s = time.monotonic(), time.process_time()
    gevent.sleep(float(os.environ["USUAL_SECONDS"]))
    cpu_s, took_s = time.process_time() - cpu_s, time.monotonic() - began_s
    late = sorted(COUNTS.late_us) or [0]
    result = {
        "frames": COUNTS.frames,
        "frames_per_second": COUNTS.frames / took_s,
        "cpu_percent": 100 * cpu_s / took_s,
        "us_per_frame": 1e6 * cpu_s / max(1, COUNTS.frames),
        "p50_ms": late[len(late) // 2] / 1000,
        "p99_ms": late[len(late) * 99 // 100] / 1000,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    os._exit(0)  # hundreds of greenlets that wait for a frame take minutes to be stopped


def begin(environment: object, **_: object) -> None:
    gevent.spawn(measure, environment)


events.test_start.add_listener(begin)  # type: ignore[no-untyped-call]
