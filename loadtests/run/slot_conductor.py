"""
Conducts a run whose window is cut into slots: each is ordered, measured for itself, and kept or left out.

Between an answer and the next order, server and generator may be stopped (SIGSTOP). What is late by that pause comes
before the window of the next slot opens, and is thrown away.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from loadtests.options import LoadOptions
from loadtests.run.conductor import WAIT_S, Conductor, Display, FailedRunError
from loadtests.run.orders import OrderError, OrderLines, say
from loadtests.run.worker import DEFAULT_TICK_RATE_HZ
from loadtests.run.workers import Workers
from loadtests.surroundings.cores import cpus_of
from loadtests.surroundings.server_stats import FoundServer
from loadtests.verdict.measured_run import MeasuredRun
from loadtests.verdict.slots import Slots
from loadtests.verdict.summary import summarise
from shared.measure.orders import (
    Answer,
    AnyOrder,
    DropOrder,
    Dropped,
    EndOrder,
    Ready,
    SlotMeasured,
    SlotOrder,
    Summed,
    SumOrder,
    UsersOrder,
    UsersUp,
    Warmed,
    WarmOrder,
)

logger = logging.getLogger("tickbench.load")

AWAKE_S = 0.3
"""How long a server that runs again has, at least, before it is asked for anything; more where a tick that is in time
takes longer to come."""
HASTY_TICKS = 17
"""So many ticks after a pause are in no slot: TCP acknowledges the first 16 segments at once (docs/measuring.md)."""
PAUSE_S = 0.2
"""TCP takes no less for a pause (its least retransmission time-out); where ticks are further apart, all of them are."""
WARM_S = 2.0
"""The end of a warm-up, which the slots are compared with."""
LEAST_WARM_S = 0.2
ORDER_POLL_S = 0.5
"""How often it is looked, while no order comes, whether the load still can go on."""


class SlotConductor(Conductor):
    """Conducts one run in slots; ``bring_users`` has Locust bring the number of users to the one that is given."""

    stats_lead_s = 0.1  # the worker is in this process: no order has to travel meanwhile

    def __init__(
        self,
        display: Display,
        options: LoadOptions,
        server: FoundServer,
        workers: Workers,
        bring_users: Callable[[int], None],
    ) -> None:
        super().__init__(display, options, server, workers)
        self._orders = OrderLines()
        self._bring_users = bring_users
        self._slots = Slots()
        self._summed: MeasuredRun | None = None
        self._woke_s = 0.0
        self._last_counts = True
        self._may_drop = False
        """Whether what was measured last is a slot, of those that are not summed up yet."""

    def _show(self) -> None:
        """Show nothing: what came since a slot began is no figure of the run."""

    def _measured(self) -> MeasuredRun:
        """Obey until the end is ordered; return what all slots make together."""
        answer: Answer = Ready(*self._up())
        while True:
            self._workers.stand(still=True)
            say(answer)
            order = self._next_order()
            if not isinstance(order, DropOrder):  # which needs no server: it may stand still
                self._wake()
            if isinstance(order, EndOrder):
                return self._joined()
            answer = self._obey(order)

    def _next_order(self) -> AnyOrder:
        self.phase = "waiting for an order"
        while (order := self._orders.next(ORDER_POLL_S)) is None:
            if why := self._workers.failed():
                raise FailedRunError(why)
        return order

    def _wake(self) -> None:
        """Let the server run for a moment, until its ticks are not late by the pause any more."""
        self._woke_s = time.monotonic()
        self._workers.stand(still=False)
        self._sleep_until(self._woke_s + AWAKE_S)
        self._wait_until(lambda: all(report.phase != "waking" for report in self._workers.reports()), WAIT_S)

    def _obey(self, order: AnyOrder) -> Answer:
        match order:
            case WarmOrder(seconds, beside):
                self._warm_up(seconds, beside)
                return Warmed()
            case SlotOrder(seconds, beside):
                return self._slot(seconds, beside)
            case DropOrder():
                self._drop()
                return Dropped()
            case UsersOrder(number):
                self._bring(number)
                return UsersUp(*self._up())
            case SumOrder():
                run = self._joined()
                self._slots, self._summed, self._may_drop = Slots(), run, False
                outcome = self._report(summarise(run))
                if outcome.why:
                    raise OSError(outcome.why)
                return Summed(outcome.status)
            case _:
                raise OrderError(f"no order that is known: {order}")

    def _warm_up(self, seconds: float, beside: Sequence[int]) -> None:
        """Run for so long; its end is measured as a slot is, to be compared with the slots."""
        until_s = self._woke_s + seconds
        end_s = min(WARM_S, until_s - max(time.monotonic(), self._settled_s()) - self.stats_lead_s)
        if end_s < LEAST_WARM_S:
            self._sleep_until(until_s)
            return
        self._sleep_until(until_s - end_s - self.stats_lead_s)
        self._slots.warm_up(self._measure_beside(beside, end_s))
        self._last_counts = self._may_drop = False

    def _settled_s(self) -> float:
        """Return when a slot's /stats may be asked for, on the monotonic clock."""
        rate_hz = DEFAULT_TICK_RATE_HZ if self._base is None else self._base.tick_rate_hz
        hasty_s = HASTY_TICKS / rate_hz if rate_hz > 1 / PAUSE_S else 0.0
        return self._woke_s + hasty_s - self.stats_lead_s

    def _measure_beside(self, beside: Sequence[int], seconds: float) -> MeasuredRun:
        """Measure a window while some processes, by their pids, run at the same time on purpose."""
        run = self._measure(self.stats_lead_s, seconds, last_counts=self._last_counts)
        return replace(run, beside={pid: cpus_of(pid) for pid in self.options.beside.union(beside)})

    def _slot(self, seconds: float, beside: Sequence[int] = ()) -> SlotMeasured:
        self._sleep_until(self._settled_s())
        run = self._measure_beside(beside, seconds)
        thrown_us = run.window.start - max(report.woke_us for report in self._workers.reports())
        slot = self._slots.take(run, thrown_us / 1e6)
        self._last_counts, self._may_drop = not slot.spoiled, True
        why = f"left out: {'; '.join(slot.spoiled.values())}" if slot.spoiled else "kept"
        logger.info("slot %d, from %d us: %s", len(self._slots), run.window.start, why)
        return SlotMeasured(len(self._slots), list(slot.spoiled.values()), slot.steal_percent, slot.core_gap_ms)

    def _drop(self) -> None:
        if not self._may_drop:
            raise OrderError("no slot was measured last: there is none to leave out")
        self._slots.drop()
        self._last_counts = False
        logger.info("slot %d: left out for another arm", len(self._slots))

    def _bring(self, number: int) -> None:
        """Bring the number of users up, or down: then those leave who came last, and no figure counts them any more."""
        if number < self.options.users:
            connected, requested = self._up()
            if connected < requested:
                raise OrderError(f"{number} users were ordered, and {connected} of {requested} have come: let all come")
            self._workers.leave(number)
            self._wait_until(lambda: not any(report.leaving for report in self._workers.reports()), WAIT_S)
        self.options = replace(self.options, users=number)
        self._bring_users(number)
        self._ramp()

    def _up(self) -> tuple[int, int]:
        """Return how many connections got a tick frame, and how many were asked for."""
        return sum(report.up for report in self._workers.reports()), self.options.users

    def _joined(self) -> MeasuredRun:
        if len(self._slots):
            return self._slots.joined()
        if self._summed is None:
            raise OrderError("no slot was ordered: nothing was measured")
        return self._summed
