"""The workers of a run, as its conductor sees them: the one in this process, or others that Locust's messages reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from loadtests.run.messages import Bring, Dismiss, Measure, MessageError, Orders, Report, Settle, decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from locust.runners import MasterRunner

    from loadtests.account.locust_rows import Rows
    from loadtests.account.room_ticks import ServerSkips, TickColumns
    from loadtests.account.worker_record import WorkerRecord
    from loadtests.run.messages import Order, Progress

ORDER = "tickbench_order"
"""The type of the messages from master to worker."""
REPORT = "tickbench"
"""The key of our report in Locust's."""
REPORT_INTERVAL_S = 0.5
STATE_MISSING = "missing"
"""Locust's word for a worker that gives no sign of life; importing it would monkey-patch whoever imports this."""


class Worker(Protocol):
    """One worker: a :class:`~loadtests.run.worker.LoadWorker`, or the :class:`RemoteWorker` that stands for one."""

    @property
    def failed(self) -> str:
        """Why it could not begin, or go on, in one line; empty where it could."""

    @property
    def is_gone(self) -> bool:
        """Whether nothing more is to be expected of it."""

    def progress(self) -> Progress | None:
        """Return how far it has got; None before it has said anything."""

    def rows(self) -> Rows | None:
        """Return what it counted so far, for a table."""

    def ticks_seen(self) -> dict[str, TickColumns]:
        """Return the ticks that it saw of the rooms that others may share, once it has drained."""

    def record(self) -> WorkerRecord | None:
        """Return what it measured; None until it has settled its accounts."""

    def obey(self, order: Order) -> None:
        """Do what the conductor says."""


class Workers:
    """
    All workers of one run, by name.

    ``order_takes_s``: how many seconds before the window the order to measure must be given. ``server_checks``: how
    many connections they make before the first user's, to see that the server is there.

    """

    def __init__(self, workers: Mapping[str, Worker], order_takes_s: float = 0.3, server_checks: int = 0) -> None:
        self._workers = workers
        self.order_takes_s = order_takes_s
        self.server_checks = server_checks

    def progress(self) -> list[Progress]:
        """Return how far each worker has got; those that have not reported yet, or are gone, are left out."""
        lost = self.lost()
        told = [worker.progress() for name, worker in self._workers.items() if name not in lost]
        return [progress for progress in told if progress is not None]

    def rows(self) -> list[Rows]:
        """Return the latest counts of each, gone or not."""
        return [rows for worker in self._workers.values() if (rows := worker.rows()) is not None]

    def lost(self) -> list[str]:
        """Return the workers that are gone without a record."""
        return [name for name in self.silent() if self._workers[name].is_gone]

    def silent(self) -> list[str]:
        """Return the workers whose record has not come; at the end of a run, what they measured is lost."""
        return [name for name, worker in self._workers.items() if worker.record() is None]

    def failed(self) -> str:
        """Return why the first worker that failed could not begin, or go on; empty where none failed."""
        return next((worker.failed for worker in self._workers.values() if worker.failed), "")

    def measure(self, start_us: int, end_us: int) -> None:
        """Have all measure from when to when, on the server's clock."""
        for worker in self._workers.values():
            worker.obey(Measure(start_us, end_us))

    def settle(self, skips: dict[str, ServerSkips]) -> None:
        """Tell each worker which ticks the others saw, and have it settle its accounts."""
        seen = {name: worker.ticks_seen() for name, worker in self._workers.items()}
        for name, worker in self._workers.items():
            ticks: dict[str, list[TickColumns]] = {}
            for other, rooms in seen.items():
                for room, columns in rooms.items() if other != name else ():
                    ticks.setdefault(room, []).append(columns)
            worker.obey(Settle(ticks, skips))

    def records(self) -> list[WorkerRecord]:
        """Return what the workers that have settled measured, in order of their numbers."""
        records = [record for worker in self._workers.values() if (record := worker.record()) is not None]
        return sorted(records, key=lambda record: record.worker)

    def bring(self, total: int) -> None:
        """Have ``total`` extra connections, each worker its share of them."""
        lost = self.lost()
        there = [worker for name, worker in self._workers.items() if name not in lost]
        for place, worker in enumerate(there):
            worker.obey(Bring(total * (place + 1) // len(there) - total * place // len(there)))

    def dismiss(self) -> None:
        """Have the extra connections leave."""
        for worker in self._workers.values():
            worker.obey(Dismiss())


class RemoteWorker:
    """A worker in another process, as its reports on the run with the id ``run`` have it."""

    def __init__(self, runner: MasterRunner, run: str, name: str) -> None:
        self.failed = ""
        self._runner: Any = runner  # its types know of messages that are dicts
        self._run = run
        self._name = name
        self._latest = Report(run)
        self._record: WorkerRecord | None = None

    @property
    def is_gone(self) -> bool:
        """Whether it has left, or has sent no heartbeat (by Locust's own count: 3 s)."""
        clients = self._runner.clients
        return self._name not in clients or clients[self._name].state == STATE_MISSING

    def take_report(self, data: object) -> None:
        """Take a report; one that can't be read fails the run."""
        try:
            report = decode(data, Report)
        except MessageError as error:
            self.failed = f"worker {self._name} sent {error}"
            return
        if report.run == self._run:
            self._latest = report
            self.failed = self.failed or report.failed
            self._record = self._record or report.record

    def progress(self) -> Progress | None:
        """Return how far it had got at its last report."""
        return self._latest.progress

    def rows(self) -> Rows | None:
        """Return what it had counted."""
        return self._latest.rows

    def ticks_seen(self) -> dict[str, TickColumns]:
        """Return the ticks that it has told of."""
        return self._latest.seen

    def record(self) -> WorkerRecord | None:
        """Return its record, once that has come."""
        return self._record

    def obey(self, order: Order) -> None:
        """Send it an order."""
        self._runner.send_message(ORDER, encode(Orders(self._run, order)), self._name)


class MasterLink:
    """A worker's side of the exchange with the master, for one run; ``worker`` is None where it could not begin."""

    def __init__(self, run: str, worker: Worker | None, failed: str = "") -> None:
        self._run = run
        self._worker = worker
        self._failed = failed
        self._record_told = False

    def report(self) -> bytes:
        """Return the report for the master."""
        worker = self._worker
        if worker is None:
            return encode(Report(self._run, self._failed))
        record = None if self._record_told else worker.record()
        self._record_told |= record is not None
        failed = self._failed or worker.failed
        return encode(Report(self._run, failed, worker.progress(), worker.rows(), worker.ticks_seen(), record))

    def take_order(self, data: object) -> None:
        """Do what the master says; an order that can't be read fails the run."""
        try:
            orders = decode(data, Orders)
        except MessageError as error:
            self._failed = f"the master sent {error}"
            return
        if orders.run == self._run and self._worker is not None:
            self._worker.obey(orders.order)
