"""
Conducts one run: waits for the ramp, warms up, has the window measured, and makes the summary.

It orders the workers, and asks the server and the machine for their figures; what was measured comes from the workers.
"""

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import gevent

from loadtests.account.locust_rows import LocustRows, added
from loadtests.account.server_figures import Between
from loadtests.account.worker_record import WorkerRecord
from loadtests.options import LoadOptions
from loadtests.receive.stamps import now_us
from loadtests.receive.transport import reason_of
from loadtests.run.memory_steps import weigh
from loadtests.run.workers import Workers
from loadtests.surroundings.clocks import OffsetWatch, is_here
from loadtests.surroundings.core_lags import CoreLags
from loadtests.surroundings.cores import cpus_of, own_pid, sample_machine
from loadtests.surroundings.server_process import family_of, find_process
from loadtests.surroundings.server_stats import FoundServer, NotOursError, ServerStats, fetch_stats
from loadtests.verdict.measured_run import MeasuredRun, ServerSample
from loadtests.verdict.summary import summarise
from shared.measure.quota import Quota, throttled_between
from shared.measure.summary import LoadSummary
from shared.system.outputs import NotWrittenError, write_output
from shared.system.quotas import read_quotas

logger = logging.getLogger("tickbench.load")

POLL_S = 0.05
SHOW_S = 1.0
"""How often the display shows what came so far."""
WAIT_S = 20.0
"""How long a worker may take for a step that takes no time by itself."""

VALID, FAILED, NOT_VALID = 0, 1, 3
"""Exit statuses; 2 is wrong usage."""


class FailedRunError(Exception):
    """The run failed; its text is one line for a person."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What became of a run."""

    status: int
    """The exit status."""
    why: str = ""
    """Why there is no summary, in one line."""
    summary: LoadSummary | None = None


class Display(Protocol):
    """Is told how a run goes."""

    def show(self, rows: LocustRows) -> None:
        """Take what came so far."""

    def end(self, outcome: RunOutcome) -> None:
        """Take the outcome. This is the conductor's last call: the display stops whatever else has to stop."""


class Conductor:
    """Conducts one run of ``workers`` against ``server``, and has ``display`` show how it goes."""

    stats_lead_s: ClassVar[float] = 0.3
    """How long before the window /stats is asked for, so that what it costs the server is over by then."""

    def __init__(self, display: Display, options: LoadOptions, server: FoundServer, workers: Workers) -> None:
        self.options = options
        self.phase = "connecting"
        """What is going on, in words for a person."""
        self._display = display
        self._server = server
        self._base = base = server.stats
        self._is_here = base is not None and is_here(base, OffsetWatch().offset_us)
        """Whether the server is on this host."""
        self._server_pid: int | None = None
        """As seen from here; None where it can't be told which process it is."""
        self._workers = workers
        self._probes = CoreLags()
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._showing: gevent.Greenlet[[], None] | None = None
        self._asking: gevent.Greenlet[[], ServerSample] | None = None

    def start(self) -> None:
        """Begin."""
        self._greenlet = gevent.spawn(self._conduct)
        self._showing = gevent.spawn(self._show)

    def stop(self) -> None:
        """End all that :meth:`start` began."""
        if self._greenlet is not None and self._greenlet is not gevent.getcurrent():
            self._greenlet.kill(block=False)
        self._let_go()

    def _conduct(self) -> None:
        try:
            if self._base is not None and self._is_here:
                self._server_pid = find_process(self._base.process, time.monotonic() - self._base.answered_s)
                self._probes.start(self._base.process.cpus or [])
            self._ramp()
            summary = summarise(self._measured())
            if self.options.extra_connections:
                summary = weigh(summary, self.options, self._workers, self._base, lambda: self._sample().stats)
            outcome = self._report(summary)
        except (FailedRunError, OSError, ValueError) as error:
            outcome = RunOutcome(FAILED, str(error))
        except Exception as error:  # a bug of ours must not leave users and the caller waiting
            logger.exception("the conductor of the run failed")
            outcome = RunOutcome(FAILED, f"the load generator failed: {error!r}")
        finally:
            self._let_go()
        if outcome.why:
            sys.stderr.write(f"{outcome.why}\n")
        self._display.end(outcome)

    def _let_go(self) -> None:
        """End the greenlets and probes that were started beside the run."""
        for greenlet in (self._showing, self._asking):
            if greenlet is not None:
                greenlet.kill(block=False)
        self._probes.stop()

    def _show(self) -> None:
        while True:
            gevent.sleep(SHOW_S)
            if (rows := added(self._workers.rows())) is not None:
                self._display.show(rows)

    # The parts of a run

    def _ramp(self) -> None:
        requested = self.options.users
        ramp_s = requested / self.options.spawn_rate
        patience_s = ramp_s + self.options.connect_timeout_s + 30

        def all_settled() -> bool:
            return sum(report.settled for report in self._workers.reports()) >= requested

        self._wait_until(all_settled, patience_s)
        reports = self._workers.reports()
        up = sum(report.up for report in reports)
        why = "; ".join(report.why_none for report in reports if report.why_none)
        if not up and why:
            raise FailedRunError(f"none of {requested} connections got a tick frame: {why}")
        if not reports:
            raise FailedRunError("no worker said anything")
        logger.info("%d of %d connected", up, requested)

    def _measured(self) -> MeasuredRun:
        warm_up_s = max(self.options.warm_up_s, self._workers.order_takes_s)
        self.phase = f"warming up for {warm_up_s:g} s"
        run = self._measure(warm_up_s, self.options.duration_s)
        return replace(run, beside={pid: cpus_of(pid) for pid in self.options.beside})

    def _measure(self, ahead_s: float, duration_s: float, *, last_counts: bool = True) -> MeasuredRun:
        """Measure a window that begins in ``ahead_s``; ``last_counts`` is whether the one before it was a good one."""
        started_s = time.monotonic()
        start_us = self._server_now_us() + round(ahead_s * 1e6)
        window = range(start_us, start_us + round(duration_s * 1e6))
        self._workers.measure(window.start, window.stop, last_counts=last_counts)
        self._sleep_until(started_s + ahead_s - self.stats_lead_s)
        # In a greenlet of its own: a server that is busy with its ticks may take long to answer.
        self._asking = gevent.spawn(self._sample)
        self._sleep_until(started_s + ahead_s)
        self._probes.reset()
        quotas = self._server_quotas()
        self.phase = f"measuring for {duration_s:g} s"
        self._sleep_until(started_s + ahead_s + duration_s)
        self.phase = "summing up"
        gaps = self._probes.report()
        over = {"drained", "settled"}
        self._wait_until(lambda: all(report.phase in over for report in self._workers.reports()), duration_s + WAIT_S)
        opened = self._asking.get()
        closed = self._sample()
        throttled = throttled_between(quotas, self._server_quotas())
        records = self._settle(opened.stats, closed.stats)
        if why := self._workers.failed():
            raise FailedRunError(why)
        return MeasuredRun(
            options=self.options,
            window=window,
            base=self._base,
            opened=opened,
            closed=closed,
            why_unknown=self._server.why_none,
            server_is_here=self._is_here,
            server_pids=None if self._server_pid is None else family_of(self._server_pid),
            own_pids=family_of(own_pid()),
            server_throttled=throttled,
            server_checks=self._workers.server_checks,
            gaps=gaps,
            records=records,
            users=sum(report.users for report in self._workers.reports()),
            lost_workers=self._workers.silent(),
        )

    def _settle(self, before: ServerStats | None, after: ServerStats | None) -> list[WorkerRecord]:
        self._workers.settle({} if before is None or after is None else Between(before, after).skips())
        self._wait_until(lambda: len(self._workers.records()) >= len(self._workers.reports()), WAIT_S)
        records = self._workers.records()
        if not records:
            raise FailedRunError("no worker told what it had measured")
        return records

    def _report(self, summary: LoadSummary) -> RunOutcome:
        logger.info("%s", in_a_line(summary))
        for reason in summary.validity.reasons:
            logger.warning("not valid: %s", reason)
        for warning in summary.validity.warnings:
            logger.info("warning: %s", warning)
        if self.options.out is not None:
            try:
                write_output(self.options.out, summary.to_json())
            except NotWrittenError as error:
                return RunOutcome(FAILED, f"--out {error}", summary=summary)
        return RunOutcome(VALID if summary.validity.ok else NOT_VALID, summary=summary)

    # Waiting and asking

    def _wait_until(self, condition: Callable[[], bool], limit_s: float) -> None:
        """Wait until ``condition`` holds, at most ``limit_s``; raise if a worker failed or all are gone."""
        deadline_s = time.monotonic() + limit_s
        while not condition() and time.monotonic() < deadline_s:
            if why := self._workers.failed():
                raise FailedRunError(why)
            if (lost := self._workers.lost()) and not self._workers.reports():
                raise FailedRunError(f"all workers are gone: {', '.join(lost)}")
            gevent.sleep(POLL_S)

    def _sleep_until(self, at_s: float) -> None:
        gevent.sleep(max(0.0, at_s - time.monotonic()))

    def _server_quotas(self) -> list[Quota]:
        """Return the CPU quotas of the server's process and the groups around it, where they can be seen from here."""
        return [] if self._server_pid is None else read_quotas(self._server_pid)

    def _server_now_us(self) -> int:
        """Return the server's time in us; on another host it is later by what its first answer took to come."""
        if self._base is None:
            return now_us()
        if self._is_here:
            return time.monotonic_ns() // 1000 + self._base.clock_offset_us
        return self._base.now_us + round((time.monotonic() - self._base.answered_s) * 1e6)

    def _sample(self) -> ServerSample:
        """Ask for /stats and sample the cores at the same moment, so that the server's CPU time fits its cores'."""
        stats, doubt, why_none = None, "", ""
        if self._base is not None:
            try:
                stats = fetch_stats(self.options.target, self._server.address)
            except NotOursError as error:
                doubt = str(error)
            except OSError as error:
                why_none = reason_of(error)
                logger.warning("the server does not answer GET /stats: %s", why_none)
        ours = sum(report.open for report in self._workers.reports())
        return ServerSample(stats, sample_machine(), ours, doubt, why_none)


def in_a_line(summary: LoadSummary) -> str:
    """Sum a run up in one line, for a log."""
    frames, lateness = summary.frames, summary.tick_lateness_ms
    figures = ", ".join(
        f"{name} {value:.2f} ms"
        for name, value in (("p50", lateness.p50), ("p99", lateness.p99), ("max", lateness.max))
        if value is not None
    )
    verdict = "valid" if summary.validity.ok else "not valid"
    return f"{verdict}: {frames.received} of {frames.expected} frames, lateness {figures or 'unknown'}"
