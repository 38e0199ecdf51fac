"""
The figures that stay good although a reason speaks against the run: stolen CPU time, say, does not change memory.

One table, by the name of the check in :mod:`loadtests.verdict.validity`. A reason that is not here spoils every figure
of the run, and a figure that no row names is spoiled by every reason: new figures are doubted until somebody decides.
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
What came of what was sent: a server that gets its core late sends late, but sends.

How many connected, or how many ticks there were, is not among them: a server without time skips due times, and with a
tick budget it refuses newcomers.
"""
WEIGHED = ("server.rss_per_connection_bytes", "generator.rss_per_connection_bytes")
"""Found after the window, by connections made for it."""
MEMORY = ("server.rss_bytes", "generator.rss_bytes", *WEIGHED)
CPU = ("server.cpu_percent", "server.cpu_us_per_frame", "generator.cpu_percent", "generator.us_per_frame")
"""Whatever shares a core spoils them: caches are shared, and some kernels charge stolen time to the process."""
SERVERS_OWN = ("server.skipped_ticks", "server.ticks")
"""What the server says of its own ticks."""

BEYOND_THE_MACHINE = ("ticks_came", "longest_silence_ms")
"""Good where far more ticks did not come than the time that was taken from the server can account for."""
THE_MIDDLE = (
    "tick_lateness_ms.p50",
    "delivery_ms.p50",
    "interval_error_ms.p50",
    "server.cpu_us_per_frame",
    "generator.us_per_frame",
)
"""Not moved by a gap or two that touched few of the ticks: gaps decide tails, and how many ticks came."""
TIME_WAS_TAKEN = (*COUNTS, *MEMORY)
READ_LATE = (*COUNTS, *MEMORY, *SERVERS_OWN, "ticks_came")
"""The generator read late what came in time. It reads less often then, which saves the server CPU per frame."""

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
