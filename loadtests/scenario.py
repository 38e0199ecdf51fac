"""The description of a scenario: its user class, help text, room size, stages and other settings."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Scenario:
    """One entry of the table that ``--scenario`` chooses from."""

    about: str
    """For the help text, and for the web UI."""
    user: type[Any]
    """The Locust user that plays it."""
    room_size: int = 0
    """How many share a room, unless ``--room-size`` says; 0: all are in the one of the URL."""
    stages: int = 1
    """Equal parts of the measured window that are reported one by one."""
    path: str | None = None
    """What takes the place of the default path of a URL."""
    settled: bool = True
    """Whether the load is the same at the end of the warm-up and in the first two seconds of the window."""
    pings: bool = True
    """Whether connections send pings, 50 a second in all."""
    in_slots: bool = False
    """Whether it can be measured in slots (``--slots``): its load has no course that a pause would cut through."""
    reconnects: bool | None = None
    """Whether its users come back when they are cut off; False: with ``--reconnect``; None: they don't know how to."""

    def stage_starts_us(self, window_us: int) -> list[int]:
        """Return when the stages of a window begin, in microseconds after its own start."""
        return [window_us * stage // self.stages for stage in range(self.stages)]


def is_among(number: int, percent: float) -> bool:
    """Return whether user ``number``, from 0, is one of ``percent`` of all users, chosen at even distances."""
    return int((number + 1) * percent / 100 + 1e-9) > int(number * percent / 100 + 1e-9)
