"""The server's clock, and waiting for a due time on the event loop. Knows nothing of ticks."""

import asyncio
import time


class Clock:
    """Microseconds since the Unix epoch, from the monotonic clock plus an offset that is taken once."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    @property
    def offset_us(self) -> int:
        """This clock minus the monotonic one."""
        return self._offset_ns // 1000

    def now_us(self) -> int:
        """Return the time."""
        return (time.monotonic_ns() + self._offset_ns) // 1000

    async def sleep_until(self, due_us: int) -> None:
        """Wait; never return before ``due_us``, though the loop's own timer may wake us early."""
        while (wait_us := due_us - self.now_us()) > 0:  # noqa: ASYNC110 # it is time that is waited for
            await asyncio.sleep(wait_us / 1_000_000)
