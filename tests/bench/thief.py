"""
Plant a thief on a core: it takes a share of it, in slices, as a neighbour on a shared machine does.

    python -m tests.bench.thief --core 0 --percent 10 -- make compare

It runs the command beside itself, says how long that took, and ends with the command's exit status. With
``--real-time``, where the system allows it, nobody on the core gets in its way, as nobody does in a hypervisor's.
"""

import argparse
import contextlib
import multiprocessing
import os
import subprocess
import sys
import time

PERIOD_S = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)))
    parser.add_argument("--percent", type=float, default=10)
    parser.add_argument("--real-time", action="store_true")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    arguments = (given.core, given.percent, given.real_time)
    thief = multiprocessing.get_context("spawn").Process(target=steal, args=arguments, daemon=True)
    thief.start()
    began = time.monotonic()
    try:
        done = subprocess.run(given.command, check=False)
    finally:
        thief.kill()
        thief.join()
    words = f"with {given.percent:g} % of core {given.core} taken, it took {time.monotonic() - began:.1f} s\n"
    sys.stdout.write(words)
    return done.returncode


def steal(core: int, percent: float, real_time: bool) -> None:
    """Spin for a share of each period, for ever."""
    os.sched_setaffinity(0, {core})
    if real_time:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    while True:
        began = time.monotonic()
        while time.monotonic() - began < PERIOD_S * percent / 100:
            pass
        time.sleep(PERIOD_S * (1 - percent / 100))


if __name__ == "__main__":
    sys.exit(main())
