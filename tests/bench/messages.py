"""
What the worst messages of 4 KiB that we know of cost to decode, beside decoding them without a look at their length.

``python -m tests.bench.messages``: microseconds, of each the best of 50 times; and how many times a usual message.
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from shared.wire.errors import ClientError
from shared.wire.messages import decode_client_message
from tests.shared.wire.test_messages import LONG

TIMES = 50
USUAL = '["ping",1763694000123.25]'
NAMES = tuple(f'["new_player","{name}"]' for name in ("a" * 254, "e\u0301\u0323" * 50, "\u0344" * 127))


def cost_us(decode: Callable[[str], object], text: str) -> float:
    """Return what it costs at best, refused or not."""
    best_ns = 10**9
    for _ in range(TIMES):
        began_ns = time.perf_counter_ns()
        with suppress(ClientError, msgspec.MsgspecError, RecursionError):
            decode(text)
        best_ns = min(best_ns, time.perf_counter_ns() - began_ns)
    return best_ns / 1000


def main() -> None:
    usual_us = cost_us(decode_client_message, USUAL)
    texts = (USUAL, *LONG, *NAMES)
    rows = [(cost_us(decode_client_message, text), cost_us(msgspec.json.decode, text), text) for text in texts]
    lines = [
        f"{checked_us:7.1f} us {whole_us:7.1f} us {checked_us / usual_us:6.1f}  {text[:40]!a} of {len(text)}\n"
        for checked_us, whole_us, text in sorted(rows, reverse=True)
    ]
    sys.stdout.write("".join(["   checked      whole pings\n", *lines]))


if __name__ == "__main__":
    main()
