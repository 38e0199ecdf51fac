"""What wakes who waits for something of a relay's, and for how long it is waited for."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress


class Bell(asyncio.Event):
    """An event that is waited for so long, and no longer."""

    async def rings(self, limit_s: float) -> bool:
        """Wait until it has rung; False if it has not in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self.wait()
        return self.is_set()

    async def until(self, holds: Callable[[], object], limit_s: float) -> bool:
        """Wait until something holds, which is looked at whenever it rings; False if it does not in time."""
        end_s = time.monotonic() + limit_s
        while not holds():
            self.clear()
            if not await self.rings(end_s - time.monotonic()):
                return False
        return True
