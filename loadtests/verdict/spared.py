"""
Which figures a reason against a run leaves alone: what stole the server's time did not change how much memory it took.

One table, by the name of the check in :mod:`loadtests.verdict.validity`. A reason that is not here spoils every figure
of the run, and so does every figure that no row names: new ones are doubted until somebody has thought about them.
"""

COUNTS = (
    "reach",
    "frames.missing",
    "frames.duplicate",
    "frames.out_of_order",
    "connections.requested",
    "connections.closed_early",
)
"""
Of what was sent, what came: a server that got its core late sends late, and all the same.

Not among them is how many got in or how many ticks there were: a server that has no time skips due times, and with a
tick budget it refuses newcomers.
"""
WEIGHED = ("server.rss_per_connection_bytes", "generator.rss_per_connection_bytes")
"""By connections that come when the window is over."""
MEMORY = ("server.rss_bytes", "generator.rss_bytes", *WEIGHED)
CPU = ("server.cpu_percent", "server.cpu_us_per_frame", "generator.cpu_percent", "generator.us_per_frame")
"""Spoiled by whatever shares a core, though not in time: caches are shared, and some kernels charge stolen time."""
SERVERS_OWN = ("server.skipped_ticks", "server.ticks")
"""What the server says of its ticks."""

BEYOND_THE_MACHINE = ("ticks_came", "longest_silence_ms")
"""What no time that was taken from the server accounts for, where far more did not come than that."""
THE_MIDDLE = (
    "tick_lateness_ms.p50",
    "delivery_ms.p50",
    "interval_error_ms.p50",
    "server.cpu_us_per_frame",
    "generator.us_per_frame",
)
"""What a gap or two do not move, that touched a few of the ticks: they decide tails, and how many ticks came."""
TIME_WAS_TAKEN = (*COUNTS, *MEMORY)
READ_LATE = (*COUNTS, *MEMORY, *SERVERS_OWN, "ticks_came")
"""The generator saw late what came in time. Its reads wake less often then, which saves the server CPU a frame."""

SPARED: dict[str, tuple[str, ...]] = {
    "_throttled": TIME_WAS_TAKEN,
    "_steal": TIME_WAS_TAKEN,
    "_core_gap": TIME_WAS_TAKEN,
    "_core_gap_beside_the_server": TIME_WAS_TAKEN,
    "_foreign_on_server": TIME_WAS_TAKEN,
    "_large_clock_step": (*COUNTS, *MEMORY, *CPU, *SERVERS_OWN, "ticks_came"),
    "_coalesced_frames": READ_LATE,
    "_cpu_without_stamps": READ_LATE,
    "_lag_without_stamps": READ_LATE,
    "_foreign_on_generator_without_stamps": READ_LATE,
    "_cold": (*COUNTS, *WEIGHED, "ticks_came"),
}
