"""
Plant a thief on a core: it takes a share of it, in slices, as a neighbour on a shared machine does.

    python -m tests.bench.thief --core 0 --percent 10 -- make compare
    python -m tests.bench.thief --core 0 --every 20 --for 1 -- tickbench compare --suite default

The second one takes the whole core, but only for one second in twenty. It runs the command beside itself, says how long
that took, and ends with the command's exit status. With ``--real-time``, where the system allows it, nobody on the core
gets in its way, as nobody does in a hypervisor's.
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
    parser.add_argument("--percent", type=float, help="of the core while it steals: 10, or 100 in bursts")
    parser.add_argument("--every", type=float, default=0, metavar="SECONDS", help="steal in bursts, as often")
    parser.add_argument("--for", type=float, default=1, dest="burst", metavar="SECONDS", help="how long a burst is")
    parser.add_argument("--real-time", action="store_true")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    percent = given.percent or (100 if given.every else 10)
    arguments = (given.core, percent, given.real_time, given.every, given.burst)
    thief = multiprocessing.get_context("spawn").Process(target=steal, args=arguments, daemon=True)
    thief.start()
    began = time.monotonic()
    try:
        done = subprocess.run(given.command, check=False)
    finally:
        thief.kill()
        thief.join()
    bursts = f", {given.burst:g} s in {given.every:g}" if given.every else ""
    took_s = time.monotonic() - began
    sys.stdout.write(f"with {percent:g} % of core {given.core} taken{bursts}, it took {took_s:.1f} s\n")
    return done.returncode


def steal(core: int, percent: float, real_time: bool, every_s: float, burst_s: float) -> None:
    """Spin for a share of each period, for ever; with ``every_s`` only in bursts, which begin that far apart."""
    os.sched_setaffinity(0, {core})
    if real_time:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    came = time.monotonic()
    while True:
        began = time.monotonic()
        while time.monotonic() - began < PERIOD_S * percent / 100:
            pass
        time.sleep(PERIOD_S * (1 - percent / 100))
        if every_s:
            time.sleep(pause_s(time.monotonic() - came, every_s, burst_s))


def pause_s(since_s: float, every_s: float, burst_s: float) -> float:
    """Return how long to wait for the next burst, ``since_s`` after the first one began; 0 within one."""
    within_s = since_s % every_s
    return 0 if within_s < burst_s else every_s - within_s


if __name__ == "__main__":
    sys.exit(main())
