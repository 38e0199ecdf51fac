"""
The current or last run of this Locust process: what Locust shows of it, how it ends, and with which exit status.

Importing this imports Locust, which patches the process.
"""

import logging
import sys
import time
from datetime import datetime
from typing import Any

import gevent
from locust import stats as locust_stats
from locust.env import Environment

from loadtests.account.locust_rows import LocustRows
from loadtests.run.conductor import FAILED, Conductor, FailedRunError, RunOutcome
from loadtests.run.locust_table import Table

logger = logging.getLogger("tickbench.load")

BROKEN_OFF = "the run was broken off: nothing was written"
ENDING_WAIT_S, ENDING_POLL_S = 10.0, 0.02
"""How long users whose connections are closed have to end, and how often they are looked at."""
IS_ON = "a run is on, and the number of its users can't be changed; stop it first, or wait until it is over"


class LocustRun:
    """The display of the conductor; a process has one such object, and at most one run at a time."""

    def __init__(self, environment: Environment, runner: Any) -> None:
        self.conductor: Conductor | None = None
        """Of the run that is on."""
        self.outcome: RunOutcome | None = None
        """Of the last run."""
        self._is_ending = False  # the run is over, but Locust has not stopped its users yet
        self._environment = environment
        self._runner = runner
        self._table: Table | None = None
        self._start = runner.start
        runner.start = self._start_unless_on

    # The course of a run

    def begin(self, conductor: Conductor) -> None:
        """Begin the run that ``conductor`` is to conduct."""
        self.conductor, self.outcome = conductor, None
        self._environment.process_exit_code = FAILED  # until it is over
        self._table = Table(self._runner.stats)
        conductor.start()

    def bring_users(self, total: int, spawn_rate: float) -> None:
        """
        Bring the number of users up, ``spawn_rate`` a second, while the run is on.

        Where there were more, the others are about to end by themselves: Locust would choose at random whom to stop.

        """
        fewer = max(0, self._runner.target_user_count - total)
        deadline_s = time.monotonic() + ENDING_WAIT_S
        while fewer and self._runner.user_count > total:
            if time.monotonic() > deadline_s:
                raise FailedRunError("users whose connections are closed do not end")
            gevent.sleep(ENDING_POLL_S)
        self._start(total, max(spawn_rate, fewer))  # in one go, or it would first make up for those who have ended

    def show(self, rows: LocustRows) -> None:
        """Show what came so far."""
        if self._table is not None:
            self._table.show(rows)

    def end(self, outcome: RunOutcome) -> None:
        """Show the outcome, and stop Locust."""
        if self._table is not None and outcome.summary is not None:
            self._table.finish(outcome.summary, datetime.fromisoformat(outcome.summary.started_at).timestamp())
        self.conductor, self.outcome, self._is_ending = None, outcome, True
        self._environment.process_exit_code = outcome.status
        # From a greenlet of its own: stopping the test ends the conductor's.
        gevent.spawn(self._stop_locust)

    def cannot_begin(self, why: str) -> None:
        """Say why no run can begin, and end as after one."""
        sys.stderr.write(f"{why}\n")
        self.end(RunOutcome(FAILED, why))

    def break_off(self) -> None:
        """End the current run, if there is one, because somebody stopped it."""
        if self.conductor is not None:
            self.conductor.stop()
            self.conductor, self.outcome = None, RunOutcome(FAILED, BROKEN_OFF)

    def quit(self) -> None:
        """Report a run that was asked for and has no result: this process is about to end."""
        asked = self._environment.web_ui is None
        self.break_off()
        if self.outcome is None and asked:
            self.outcome = RunOutcome(FAILED, BROKEN_OFF)
        if self.outcome is not None and self.outcome.why == BROKEN_OFF:
            sys.stderr.write(f"{BROKEN_OFF}\n")

    # Its state

    @property
    def words(self) -> str:
        """What is going on, or what became of it, in words."""
        if self.conductor is not None:
            return self.conductor.phase
        if self.outcome is None:
            return "no run yet"
        if self.outcome.summary is None:
            return self.outcome.why
        return "valid" if self.outcome.summary.validity.ok else "not valid: what is grey cannot be trusted"

    def hindrance(self) -> str:
        """Say why no run can begin now; nothing if one can."""
        if self.conductor is not None or self._is_ending:
            return IS_ON
        return "no worker has connected yet" if self._runner.worker_count < 1 else ""

    def _start_unless_on(self, user_count: int, spawn_rate: float, *more: Any, **named: Any) -> None:
        """Start a run, unless one is on: then Locust would change its number of users (form, key, lost worker)."""
        if self.conductor is not None or self._is_ending:
            logger.warning(IS_ON)
            return
        self._start(user_count, spawn_rate, *more, **named)

    def _stop_locust(self) -> None:
        parsed: Any = self._environment.parsed_options
        if parsed.csv_prefix:  # Locust writes the files periodically, but not at the end
            gevent.sleep(1.5 * locust_stats.CSV_STATS_INTERVAL_SEC)
        web_ui: Any = self._environment.web_ui
        if web_ui is None:
            self._runner.quit()
            return
        self._runner.stop()
        self._is_ending = False
        if parsed.autostart and parsed.autoquit >= 0:  # Locust does so after its own --run-time only
            gevent.sleep(parsed.autoquit)
            self._runner.quit()
            web_ui.stop()
