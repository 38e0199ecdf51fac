"""The workers of a run, as its conductor sees them: the one in this process, or others that Locust's messages reach."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from loadtests.account.locust_rows import LocustRows
from loadtests.account.room_ticks import ServerSkips, TickColumns
from loadtests.account.worker_record import WorkerRecord
from loadtests.run.checkout import checkout, difference
from loadtests.run.messages import (
    Bring,
    Envelope,
    Leave,
    Measure,
    MessageError,
    Order,
    Settle,
    Stand,
    WorkerReport,
    decode,
    encode,
)
from loadtests.run.worker import LoadWorker

ORDER = "tickbench_order"
"""The type of the messages from master to worker."""
REPORT = "tickbench"
"""The key of our report in Locust's."""
REPORT_INTERVAL_S = 0.5
STATE_MISSING = "missing"
"""Locust's word for a worker that gives no sign of life; importing it would monkey-patch whoever imports this."""


@dataclass
class RemoteWorker:
    """A worker in another process, as it has reported on the run with the id ``run``."""

    runner: Any
    """Locust's MasterRunner."""
    run: str
    name: str
    latest: WorkerReport | None = None

    @property
    def is_gone(self) -> bool:
        """Whether it has left, or has sent no heartbeat (by Locust's own count: 3 s)."""
        clients = self.runner.clients
        return self.name not in clients or clients[self.name].state == STATE_MISSING

    def take_report(self, data: object) -> None:
        """Take a report; one that can't be read fails the run."""
        try:
            message = decode(data, Envelope[WorkerReport])
        except MessageError as error:
            self.latest = WorkerReport(failed=f"it sent {error}")
            return
        if message.run == self.run:
            before = self.latest or message.of
            failed = before.failed or difference(message.of.checkout, of_master=checkout()) or message.of.failed
            record = before.record or message.of.record
            self.latest = replace(message.of, failed=failed, record=record)

    def report(self, *, with_rows: bool = False) -> WorkerReport | None:  # noqa: ARG002 - as a LoadWorker's
        """Return the latest; None before the first."""
        return self.latest

    def obey(self, order: Order) -> None:
        """Send it an order."""
        self.runner.send_message(ORDER, encode(Envelope(self.run, order)), self.name)


@dataclass
class Workers:
    """All workers of one run."""

    by_name: Mapping[str, LoadWorker | RemoteWorker]
    order_takes_s: float = 0.3
    """How long before the window the order to measure must be given."""
    server_checks: int = 0
    """Connections that they make before the first user's, to see that the server is there."""

    def reports(self) -> list[WorkerReport]:
        """Return how far each worker has got; those that have not reported yet, or are lost, are left out."""
        lost = self.lost()
        return [report for name, worker in self.by_name.items() if name not in lost and (report := worker.report())]

    def rows(self) -> list[LocustRows]:
        """Return the latest counts of each, gone or not, for a table."""
        reports = [worker.report(with_rows=True) for worker in self.by_name.values()]
        return [report.rows for report in reports if report is not None and report.rows is not None]

    def lost(self) -> list[str]:
        """Return the workers that are gone without a record."""
        return [name for name in self.silent() if self.by_name[name].is_gone]

    def silent(self) -> list[str]:
        """Return the workers whose record has not come; at the end of a run, what they measured is lost."""
        reports = {name: worker.report() for name, worker in self.by_name.items()}
        return [name for name, report in reports.items() if report is None or report.record is None]

    def failed(self) -> str:
        """Return why the first worker that failed could not begin, or go on, and which; empty where none failed."""
        reports = {name: worker.report() for name, worker in self.by_name.items()}
        failed = {name: report.failed for name, report in reports.items() if report is not None and report.failed}
        return next((f"worker {name}: {why}" if name else why for name, why in failed.items()), "")

    def measure(self, start_us: int, end_us: int, *, last_counts: bool = True) -> None:
        """Have all measure from when to when, on the server's clock; ``last_counts`` as in the order."""
        for worker in self.by_name.values():
            worker.obey(Measure(start_us, end_us, last_counts))

    def stand(self, *, still: bool) -> None:
        """Have all fall silent, or go on."""
        for worker in self.by_name.values():
            worker.obey(Stand(still))

    def leave(self, users: int) -> None:
        """Have all but ``users`` leave, of the one worker that a run in slots has."""
        for worker in self.by_name.values():
            worker.obey(Leave(users))

    def settle(self, skips: dict[str, ServerSkips]) -> None:
        """Tell each worker which ticks the others saw, and have it settle its accounts."""
        reports = {name: worker.report() for name, worker in self.by_name.items()}
        for name, worker in self.by_name.items():
            ticks: dict[str, list[TickColumns]] = {}
            for other, report in reports.items():
                for room, columns in report.seen.items() if report is not None and other != name else ():
                    ticks.setdefault(room, []).append(columns)
            worker.obey(Settle(ticks, skips))

    def records(self) -> list[WorkerRecord]:
        """Return what the workers that have settled measured, in order of their numbers."""
        records = [report.record for report in self.reports() if report.record is not None]
        return sorted(records, key=lambda record: record.worker)

    def bring(self, total: int) -> None:
        """Have ``total`` extra connections, each worker its share of them; with 0 all leave."""
        lost = self.lost()
        there = [worker for name, worker in self.by_name.items() if name not in lost]
        for place, worker in enumerate(there):
            worker.obey(Bring(total * (place + 1) // len(there) - total * place // len(there)))


@dataclass
class MasterLink:
    """A worker's side of the exchange with the master, for one run."""

    run: str
    worker: LoadWorker | None
    """None where it could not begin."""
    failed: str = ""
    record_told: bool = False

    def report(self) -> bytes:
        """Return the report for the master; the record goes with one of them only, as it is large."""
        report = WorkerReport() if self.worker is None else self.worker.report(with_rows=True)
        record = None if self.record_told else report.record
        told = replace(report, failed=self.failed or report.failed, record=record, checkout=checkout())
        self.record_told |= report.record is not None
        return encode(Envelope(self.run, told))

    def take_order(self, data: object) -> None:
        """Do what the master says; an order that can't be read fails the run."""
        try:
            message = decode(data, Envelope[Order])
        except MessageError as error:
            self.failed = f"the master sent {error}"
            return
        if message.run == self.run and self.worker is not None:
            self.worker.obey(message.of)
