"""
Counts the connections on the server that are not this run's: all that the server counts, less our own.

The result is never too high: each of ours that the server may still have open is taken off.
"""

from loadtests.account.worker_record import WorkerRecord
from loadtests.verdict.measured_run import MeasuredRun
from shared.measure.summary import OtherConnections, ServerFigures


def others_of(run: MeasuredRun, whole: WorkerRecord) -> OtherConnections | None:
    """Return the connections of others; None where the server does not tell."""
    base, before, after = run.base, run.opened.stats, run.closed.stats
    if base is None or before is None or after is None or run.lost_workers:
        return None
    came = None
    if base.accepted is not None and after.accepted is not None and base.process.pid == after.process.pid:
        ours = sum(accounts.requested for accounts in whole.groups.values()) + run.server_checks
        came = max(0, after.accepted - base.accepted - ours)
    return OtherConnections(
        before=max(0, before.connections - run.opened.open),
        after=max(0, after.connections - run.closed.open),
        came=came,
    )


def others_in_words(others: OtherConnections | None, server: ServerFigures) -> str:
    """Say how many there were, and which figures include them; empty without any."""
    if others is None or not (others.before or others.after or others.came):
        return ""
    came = (
        "how many came since the ramp began it does not tell"
        if others.came is None
        else f"{others.came:,} came since the ramp began"
    )
    frame = "CPU a frame is over all the frames that it sent"
    if server.cpu_us_per_frame is None:
        frame = "CPU a frame is left out: it does not tell how many frames it sent"
    return (
        f"{others.before:,} when the window opened, {others.after:,} when it was over, {came}; it served them, too: "
        f"its CPU, memory and ticks are of all, and {frame}"
    )
