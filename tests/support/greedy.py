"""Many who want a server to work without a pause, by the clock of a test: both backends' turns are tried with them."""

from typing import Any

from shared.loops.turns import TURN_US
from shared.wire.stalls import Stalls

UNIT_US = 100
"""What a unit of work takes, however slow the machine is."""
UNITS_A_TURN = TURN_US // UNIT_US
GREEDY = 100


class GreedyHouse:
    """Turns of a backend's class with a clock of their own, and what each of the greedy has done."""

    def __init__(self, turns: type[Any]) -> None:
        self.passed_us = 0
        self.stalls = Stalls(0)
        self.turns = turns(self, self.stalls)
        self.units = [0] * GREEDY

    def now_us(self) -> int:
        """Return the time, as a clock does."""
        return self.passed_us

    def is_due(self) -> bool:
        """Have nobody who is due, unlike a clock."""
        return False
