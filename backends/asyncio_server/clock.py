"""The server's clock, and the ways of ``--clock`` to wait on the event loop for a due time."""

import asyncio

from shared.system.clock import DueClock


class Clock(DueClock["asyncio.Future[None]"]):
    """
    The clock, with the waiting.

    ``timerfd``: one timer of the kernel's wakes all who wait, between :meth:`open` and :meth:`close`. ``loop``: the
    event loop's own timers do, with the resolution that they have.
    """

    def open(self) -> None:
        """Begin to watch the timer."""
        if self.open_timer():
            asyncio.get_running_loop().add_reader(self.timer, self.wake_due)

    def close(self) -> None:
        """Close the timer; whoever still waits is not woken any more."""
        if self.timer >= 0:
            asyncio.get_running_loop().remove_reader(self.timer)
            self.close_timer()

    async def sleep_until(self, due_us: int) -> None:
        """
        Wait until ``due_us`` is over, though the timer may wake us early: 0 us late is early to a histogram.

        A caller that is late already gives others a turn, or a loop that is always late would let nothing else run.
        """
        if due_us < self.now_us():
            await give_turn()
            return
        if self.timer < 0:
            while (wait_us := due_us - self.now_us()) >= 0:  # noqa: ASYNC110 # the loop wakes us early at times
                await asyncio.sleep(wait_us / 1_000_000)
            return
        woken = asyncio.get_running_loop().create_future()
        self.add(due_us, woken)
        await woken
        while due_us >= self.now_us():
            pass  # what is left of the lead, for at most LEAD_US

    def wake_due(self) -> None:
        """Wake those who are due."""
        for woken in self.pop_due():
            if not woken.done():  # whose room has been stopped meanwhile
                woken.set_result(None)


async def give_turn() -> None:
    """Let the event loop look at its sockets once."""
    await asyncio.sleep(0)
