"""
The life of one run: ramp, warm-up, window, and a summary at the end.

It says when, and asks the server and the machine for their figures; what was measured comes from the workers.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gevent

from loadtests.clocks import boot_id
from loadtests.coreprobes import CoreProbes
from loadtests.machine import MachineSample, sample_machine
from loadtests.stamps import now_us
from loadtests.stats import ServerStats, fetch_stats
from loadtests.summarise import Run, summarise, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from locust.env import Environment

    from loadtests.crew import Crew
    from loadtests.options import LoadOptions
    from loadtests.part import Part
    from shared.measure.summary import LoadSummary

logger = logging.getLogger("tickbench.load")

POLL_S = 0.05
STATS_LEAD_S = 0.3
"""Before the window opens, so that what /stats costs the server is over by then."""
WAIT_S = 20.0
"""How long a worker may take for a step that takes no time by itself."""

VALID, FAILED, NOT_VALID = 0, 1, 3
"""Exit statuses; 2 is wrong usage."""


class FailedRunError(Exception):
    """The run came to nothing; its text is one line for a person."""


@dataclass(frozen=True, slots=True)
class ServerEdge:
    """What the server's host had done by one end of the window."""

    at_s: float
    machine: MachineSample | None


class Conductor:
    """Conducts one run of ``crew``; ``base`` is the server's /stats before the first connection."""

    def __init__(self, environment: Environment, options: LoadOptions, base: ServerStats | None, crew: Crew) -> None:
        self.options = options
        self.over = False
        """It has come to an end of its own, good or bad."""
        self._environment = environment
        self._base = base
        self._base_at_s = time.monotonic()
        self._crew = crew
        self._probes = CoreProbes()
        self._greenlet: gevent.Greenlet[[], None] | None = None

    def start(self) -> None:
        """Begin."""
        self._greenlet = gevent.spawn(self._conduct)

    def stop(self) -> None:
        """End all that was begun."""
        if self._greenlet is not None and self._greenlet is not gevent.getcurrent():
            self._greenlet.kill(block=False)
        self._probes.stop()

    def _conduct(self) -> None:
        try:
            if self._base is not None and self._is_here() and self._base.process.cpus:
                self._probes.start(self._base.process.cpus)
            self._ramp()
            status = self._report(self._measure())
        except (FailedRunError, OSError, ValueError) as error:
            sys.stderr.write(f"{error}\n")
            status = FAILED
        finally:
            self._probes.stop()
        self.over = True
        self._environment.process_exit_code = status
        # From a greenlet of its own: stopping the test ends this one.
        runner: Any = self._environment.runner
        gevent.spawn(runner.quit if self._environment.web_ui is None else runner.stop)

    # Its parts

    def _ramp(self) -> None:
        requested = self.options.users
        ramp_s = requested / self.options.spawn_rate
        patience_s = ramp_s + self.options.connect_timeout_s + 30

        def all_settled() -> bool:
            return sum(progress.settled for progress in self._crew.progress()) >= requested

        self._wait_until(all_settled, patience_s)
        progress = self._crew.progress()
        up = sum(worker.up for worker in progress)
        why = "; ".join(worker.why_none for worker in progress if worker.why_none)
        if not up and why:
            raise FailedRunError(f"none of {requested} connections got a tick frame: {why}{self._hint(why)}")
        if not progress:
            raise FailedRunError("no worker said anything")
        logger.info("%d of %d connected", up, requested)

    def _hint(self, why: str) -> str:
        echo = self.options.scenario.path is not None and "HTTP status 404" in why
        return " (the scenario echo needs a server that was started with --echo)" if echo else ""

    def _measure(self) -> Run:
        options = self.options
        warm_up_s = max(options.warm_up_s, self._crew.order_takes_s)
        started_s = time.monotonic()
        start_us = self._server_now_us() + round(warm_up_s * 1e6)
        window = range(start_us, start_us + round(options.measure_s * 1e6))
        self._crew.measure(window.start, window.stop)
        self._sleep_until(started_s + warm_up_s - STATS_LEAD_S)
        before = self._stats()
        self._sleep_until(started_s + warm_up_s)
        self._probes.reset()
        opened = ServerEdge(time.monotonic(), sample_machine())
        self._sleep_until(started_s + warm_up_s + options.measure_s)
        closed = ServerEdge(time.monotonic(), sample_machine())
        gaps = self._probes.report()
        self._wait_until(self._drained, options.measure_s + WAIT_S)
        after = self._stats()
        parts = self._settle(after)
        return Run(
            options=options,
            window=window,
            base=self._base,
            before=before,
            after=after,
            server_is_here=self._is_here(),
            opened=opened.machine,
            closed=closed.machine,
            between_s=closed.at_s - opened.at_s,
            gaps=gaps,
            parts=parts,
            users=sum(progress.users for progress in self._crew.progress()),
            lost_workers=self._crew.lost(),
        )

    def _drained(self) -> bool:
        return all(progress.phase in {"drained", "settled"} for progress in self._crew.progress())

    def _settle(self, after: ServerStats | None) -> list[Part]:
        self._crew.settle(self._skipped_by_server(after))
        self._wait_until(lambda: len(self._crew.parts()) >= len(self._crew.progress()), WAIT_S)
        parts = self._crew.parts()
        if not parts:
            raise FailedRunError("no worker told what it had measured")
        return parts

    def _skipped_by_server(self, after: ServerStats | None) -> dict[str, int] | None:
        """Return by room how many due times the server says it skipped."""
        if self._base is None or after is None:
            return None
        earlier = {room.name: room.skipped_ticks for room in self._base.rooms}
        return {room.name: room.skipped_ticks - earlier.get(room.name, 0) for room in after.rooms}

    def _report(self, run: Run) -> int:
        summary = summarise(run)
        if self.options.out is not None:
            write_whole(self.options.out, summary.to_json())
        logger.info("%s", in_a_line(summary))
        for reason in summary.validity.reasons:
            logger.warning("not valid: %s", reason)
        for warning in summary.validity.warnings:
            logger.info("warning: %s", warning)
        return VALID if summary.validity.ok else NOT_VALID

    # Waiting and asking

    def _wait_until(self, condition: Callable[[], bool], limit_s: float) -> None:
        """Wait until ``condition`` holds, at most ``limit_s``; raise where no worker can bring it about."""
        deadline_s = time.monotonic() + limit_s
        while not condition() and time.monotonic() < deadline_s:
            if why := self._crew.failed():
                raise FailedRunError(why)
            if (lost := self._crew.lost()) and not self._crew.progress():
                raise FailedRunError(f"all workers are gone: {', '.join(lost)}")
            gevent.sleep(POLL_S)

    def _sleep_until(self, at_s: float) -> None:
        gevent.sleep(max(0.0, at_s - time.monotonic()))

    def _is_here(self) -> bool:
        return self._base is not None and self._base.boot_id == boot_id()

    def _server_now_us(self) -> int:
        """Return the server's time, to a few milliseconds: workers wait for the window by their own, better ones."""
        if self._base is None:
            return now_us()
        return self._base.now_us + round((time.monotonic() - self._base_at_s) * 1e6)

    def _stats(self) -> ServerStats | None:
        if self._base is None:
            return None
        try:
            return fetch_stats(self.options.target)
        except OSError as error:
            raise FailedRunError(f"the server does not answer GET /stats any more: {error}") from error


def in_a_line(summary: LoadSummary) -> str:
    """Sum a run up, for a log."""
    frames, lateness = summary.frames, summary.tick_lateness_ms
    figures = ", ".join(
        f"{name} {value:.2f} ms"
        for name, value in (("p50", lateness.p50), ("p99", lateness.p99), ("max", lateness.max))
        if value is not None
    )
    verdict = "valid" if summary.validity.ok else "not valid"
    return f"{verdict}: {frames.received} of {frames.expected} frames, lateness {figures or 'unknown'}"
