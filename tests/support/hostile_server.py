"""
A server under test whose every string is meant for the terminal and for the browser of whoever tests it.

``python hostile_server.py [PORT]`` prints its port. It speaks just enough of the protocol to be loaded, and shares no
code with those who load it.
"""

import base64
import hashlib
import json
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any

SCRIPT = "<script>alert(1)</script>"
HOSTILE = f"{SCRIPT}[bold red]markup[/bold red] \\[/] \x1b]0;title\x07\x1b[2J\x9b31m\u202e\r\nsecond line"
MEGABYTE = 1_000_000
PERIOD_S = 0.05
EMPTY_HISTOGRAM: dict[str, Any] = {
    **dict.fromkeys(("count", "early", "clipped"), 0),
    **dict.fromkeys(("mean", "p50", "p90", "p99", "p999", "max")),
    "hdr": "HISTFAAAABt4nJNpmSzMgADMUJoRzJnczmD/ASIAAEXUA5c=",
}


def stats() -> bytes:
    """Return a page that the load test believes, with strings that nobody should show as they are."""
    moment_us = time.time_ns() // 1000
    passed_us = int(time.monotonic() * 1e6)
    page = {
        "backend": HOSTILE,
        "arm": HOSTILE,
        "version": HOSTILE * 1000,
        "boot_id": HOSTILE,
        "clock_offset_us": moment_us - passed_us,
        "now_us": moment_us,
        "tick_rate_hz": 1 / PERIOD_S,
        "connections": 0,
        "settings": {HOSTILE: HOSTILE, "fanout": HOSTILE + MEGABYTE * "x"},
        "ticks": {
            **dict.fromkeys(("count", "skipped_ticks", "overruns"), 0),
            **dict.fromkeys(("start_lateness_ms", "compute_ms", "fanout_ms"), EMPTY_HISTOGRAM),
        },
        "process": {
            "pid": os.getpid(),
            "cpu_s": time.process_time(),
            "rss_bytes": 1 << 24,
            "python": HOSTILE,
            "packages": {HOSTILE: HOSTILE},
            # More with every page: it says that it was held back.
            "quotas": [{"group": HOSTILE, "cores": 0.5, "throttled_periods": 1, "throttled_us": passed_us}],
        },
        "rooms": [{"name": HOSTILE + MEGABYTE * "y", "n": 0, "skipped_ticks": 0}],
    }
    return json.dumps(page).encode()


def frame(text: bytes) -> bytes:
    size = len(text)
    if size < 126:
        return bytes((0x81, size)) + text
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + text
    return b"\x81\x7f" + size.to_bytes(8, "big") + text


def commands(*said: list[Any]) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode()


def play(connection: socket.socket, number: int) -> None:
    """Welcome a player with errors, tick for a while, and close with a reason of our own."""
    connection.sendall(frame(commands(["handshake", HOSTILE, number], ["world", [[[" ", 0]]]], ["top_scores", []])))
    connection.sendall(frame(commands(["error", HOSTILE])))
    connection.sendall(frame(commands(["error", HOSTILE + MEGABYTE * "z"])))
    for text in range(100):
        connection.sendall(frame(commands(["error", f"{text} {HOSTILE}"])))
    for n in range(40):
        now_us = time.time_ns() // 1000
        connection.sendall(frame(commands(["tick", n, now_us, now_us])))
        time.sleep(PERIOD_S)
    reason = b"\x03\xf0" + HOSTILE.encode()[:100]
    connection.sendall(bytes((0x88, len(reason))) + reason)


def serve(connection: socket.socket, number: int) -> None:
    """Answer one request, whatever it is."""
    with connection, suppress(OSError):
        request = connection.recv(65536).decode("latin-1")
        key = next(
            (line[19:] for line in request.split("\r\n") if line.lower().startswith("sec-websocket-key: ")), None
        )
        if key is not None and "upgrade: websocket" in request.lower():
            digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324 # RFC 6455
            connection.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
            )
            play(connection, number)
            return
        body = stats() if request.startswith("GET /stats ") else HOSTILE.encode()
        status = b"200 OK" if request.startswith("GET /") else b"405 \x1b]0;status\x07[bold]"
        head = b"HTTP/1.1 %s\r\nX-Title: \x1b]0;head\x07\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        connection.sendall(head % (status, len(body)) + body)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with socket.create_server(("127.0.0.1", port)) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        sys.stderr.write(HOSTILE)
        sys.stderr.flush()
        number = 0
        while True:
            number += 1
            threading.Thread(target=serve, args=(listener.accept()[0], number), daemon=True).start()


if __name__ == "__main__":
    main()
