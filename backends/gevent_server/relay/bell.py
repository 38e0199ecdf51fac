"""What wakes who waits for something of a relay's, and for how long it is waited for."""

import time
from collections.abc import Callable

from gevent.event import Event


class Bell(Event):
    """An event that is waited for so long, and no longer."""

    def rings(self, limit_s: float) -> bool:
        """Wait until it has rung; False if it has not in time."""
        return bool(self.wait(max(0, limit_s)))

    def until(self, holds: Callable[[], object], limit_s: float) -> bool:
        """Wait until something holds, which is looked at whenever it rings; False if it does not in time."""
        end_s = time.monotonic() + limit_s
        while not holds():
            self.clear()
            if not self.rings(end_s - time.monotonic()):
                return False
        return True
