"""What the planted server says of itself, and to a newcomer. Knows nothing of sockets."""

import json
import os
import time
from typing import Any

import psutil

from shared.system.boot import boot_id
from tests.support.planted_law import Law
from tests.support.planted_record import Meta
from tests.support.planted_wire import commands

EMPTY_HISTOGRAM: dict[str, Any] = {
    **dict.fromkeys(("count", "early", "clipped"), 0),
    **dict.fromkeys(("mean", "p50", "p90", "p99", "p999", "max")),
    "hdr": "HISTFAAAABt4nJNpmSzMgADMUJoRzJnczmD/ASIAAEXUA5c=",
}
"""As HDR's library encodes one of 1 us to 60 s and 3 digits."""


def stats(law: Law, meta: Meta, connections: int, rooms: list[dict[str, Any]], offset_us: int) -> bytes:
    """Return the body of /stats; ``offset_us`` is CLOCK_REALTIME minus the monotonic clock at the start, shifted."""
    now_us = time.time_ns() // 1000
    claims = bool(meta.joined_us) and now_us - meta.joined_us[0] >= law.claim_after_s * 1e6
    skipped = claims * law.claim_skipped_ticks if law.claim_skipped_ticks else meta.all_skipped
    if law.claim_skipped_ticks:
        rooms = [room | {"skipped_ticks": skipped} for room in rooms]
    page = {
        "boot_id": law.boot_id or boot_id(),
        "clock_offset_us": offset_us,
        "now_us": now_us + law.clock_shift_us,
        "tick_rate_hz": law.tick_rate_hz,
        "connections": connections,
        "ticks": {
            "count": meta.ticks,
            "skipped_ticks": skipped,
            "overruns": len(meta.overrun),
            **dict.fromkeys(("start_lateness_ms", "compute_ms", "fanout_ms"), EMPTY_HISTOGRAM),
        },
        "process": {
            "pid": os.getpid(),
            "cpu_s": 0.0 if claims and law.counts_back else time.process_time(),
            "rss_bytes": psutil.Process().memory_info().rss,
            "cpus": sorted(os.sched_getaffinity(0)) if law.stats_cores else None,
            "quotas": [
                {
                    "group": "/planted",
                    "cores": 0.5,
                    "throttled_periods": int(claims),
                    "throttled_us": claims * law.claim_throttled_us,
                }
            ]
            if law.claim_throttled_us
            else [],
        },
        "rooms": rooms,
        "slow_skips": claims * law.claim_slow_skips if law.claim_slow_skips else meta.blocked,
        "slow_closed": 0,
    }
    return json.dumps(page).encode()


def welcome(first_message: bytes, connection: int) -> bytes:
    """Return the text that answers the first message."""
    match decoded(first_message):
        case ["new_player", str(name)]:
            pass
        case _:
            name = "nobody"
    world = [[[" ", 0]] * 4, [["#", 0]] * 4]
    return commands(["handshake", name, connection + 1], ["world", world], ["top_scores", [["Ann", 3, 1]]])


def pong(message: bytes, now_us: int) -> bytes | None:
    """Return the answer to a ping of the protocol, None if ``message`` is none."""
    match decoded(message):
        case ["ping", int() | float() as sent]:
            return commands(["pong", sent, now_us])
        case _:
            return None


def decoded(message: bytes) -> Any:
    try:
        return json.loads(message)
    except ValueError:
        return None
