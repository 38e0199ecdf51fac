"""Estimate how long a load run takes, from what it is asked for."""

DEFAULT_SPAWN_RATE = 500.0
"""Users a second, unless ``--spawn-rate`` says; spread evenly over it, they fit into a listen backlog of 128."""
WEIGHING_S = 7.0
"""What ``--memory`` takes besides its own ramp, about: ten steps, each of which settles."""


def load_time_s(
    users: int, *, spawn_rate: float = DEFAULT_SPAWN_RATE, warm_up_s: float, duration_s: float, extra_connections: int
) -> float:
    """Return the seconds of ramp, warm-up, window, and of the weighing of ``extra_connections`` (0: none) after it."""
    weighing_s = WEIGHING_S + extra_connections / spawn_rate if extra_connections else 0.0
    return users / spawn_rate + warm_up_s + duration_s + weighing_s
