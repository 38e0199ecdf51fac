"""
One of our backends with a difference planted in it: an arm for a suite's ``[commands]``, beside the same without any.

    [commands]
    plain = "python -m tests.support.planted_backend asyncio --port {port} --phase {phase} --bots 10"
    tail = "python -m tests.support.planted_backend asyncio --tail 10 --port {port} --phase {phase} --bots 10"

``--tail PERCENT``: the 99th percentile of the tick lateness is that much higher, the median stays. ``--cpu PERCENT``:
it takes that much more CPU time a frame, between the ticks. How is told in planted_difference.py. Without either it
looks at the clock as often, and does nothing: the arm to compare with. For 20 ticks a second and the fan-out
frame-once; the other flags are the backend's own, and need to be those of the other arms.
"""

import argparse
import runpy
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

SPENT_AFTER_S = 0.02
"""Of a fan-out, which ends a few milliseconds after the tick was due: about half-way to the next."""


def plant(backend: str, tail_percent: float, cpu_percent: float) -> None:
    """Put the differences into the fan-out that a server is about to make."""
    differences = import_module("tests.support.planted_difference")
    fanout = import_module(f"backends.{backend}_server.fanout")
    sleep, later = waiting(backend)
    offset_ns = time.time_ns() - time.monotonic_ns()  # as the server's clock has it, within microseconds
    tail = differences.TailPlant(
        tail_percent, lambda: (time.monotonic_ns() + offset_ns) // 1000, lambda delay_us: sleep(delay_us / 1e6)
    )
    cpu = differences.CpuPlant(cpu_percent, lambda: time.process_time_ns() / 1000)

    class Planted(fanout.FrameOnceFanout):  # type: ignore[name-defined, misc] # it is a variable
        def send(self, audience: Any, text: bytes) -> Any:
            later(SPENT_AFTER_S, cpu.spend)
            return super().send(tail.watch(audience, text), text)

    fanout.FANOUTS["frame-once"] = Planted


def waiting(backend: str) -> tuple[Callable[[float], None], Callable[[float, Callable[[], None]], object]]:
    """Return what keeps the event loop for some seconds, and what has something done after as many."""
    if backend == "gevent":
        sleep: Callable[[float], None] = import_module("gevent.monkey").get_original("time", "sleep")
        return sleep, import_module("gevent").spawn_later
    asyncio = import_module("asyncio")
    return time.sleep, lambda delay_s, act: asyncio.get_running_loop().call_later(delay_s, act)


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("backend", choices=["asyncio", "gevent"])
    parser.add_argument("--tail", type=float, default=0)
    parser.add_argument("--cpu", type=float, default=0)
    given, flags = parser.parse_known_args()
    if given.backend == "gevent":
        import_module("gevent.monkey").patch_all()  # before all that is imported from here on, as the backend has it
    plant(given.backend, given.tail, given.cpu)
    sys.argv[1:] = flags
    runpy.run_module(f"backends.{given.backend}_server", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
