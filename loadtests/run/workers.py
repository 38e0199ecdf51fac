"""
How the conductor reaches the workers of a run: in this process, or over Locust's messages in others.

A worker's reports travel with Locust's own (``report_to_master``), orders by messages of ours. Several workers that
share a room tell each other, through the master, which ticks they saw of it: only all of them together know what
each should have received.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from loadtests.account.locust_rows import Rows
from loadtests.account.room_ticks import ServerSkips
from loadtests.account.worker_record import WorkerRecord
from loadtests.run.worker import Progress

if TYPE_CHECKING:
    from locust.runners import MasterRunner, WorkerRunner

    from loadtests.run.worker import LoadWorker

logger = logging.getLogger("tickbench.load")

ORDER = "tickbench_order"
"""The type of the messages from master to worker."""
REPORT = "tickbench"
"""The key of our report in Locust's."""
REPORT_INTERVAL_S = 0.5
STATE_MISSING = "missing"
"""Locust's word for a worker that gives no sign of life; importing it would monkey-patch whoever imports this."""


class Workers(Protocol):
    """All workers of one run, as the conductor sees them."""

    order_takes_s: float
    """How many seconds before the window the order to measure must be given."""
    knocks: int
    """Connections that the workers make before the first user's, to see that the server is there."""

    def progress(self) -> list[Progress]:
        """Return how far each worker has got; those that have not reported yet, or are gone, are left out."""

    def rows(self) -> list[Rows]:
        """Return what each counted so far, for a table."""

    def lost(self) -> list[str]:
        """Return the workers that are gone."""

    def silent(self) -> list[str]:
        """Return the workers whose part has not come; at the end of a run, what they measured is lost."""

    def failed(self) -> str:
        """Return why a worker could not begin, or go on, in one line; empty where all could."""

    def measure(self, start_us: int, end_us: int) -> None:
        """Have all measure from when to when, on the server's clock."""

    def settle(self, skips: dict[str, ServerSkips]) -> None:
        """Have all settle their accounts."""

    def parts(self) -> list[WorkerRecord]:
        """Return what each worker measured; those that have not settled are left out."""

    def bring_guests(self, total: int) -> None:
        """Have ``total`` guests connected, those of all workers together."""

    def dismiss_guests(self) -> None:
        """Have the guests leave."""


class LocalWorkers:
    """The one worker in this process."""

    order_takes_s = 0.3
    knocks = 0

    def __init__(self, worker: LoadWorker) -> None:
        self._worker = worker

    def progress(self) -> list[Progress]:
        """Return how far it has got."""
        return [self._worker.progress()]

    def rows(self) -> list[Rows]:
        """Return what it counted so far."""
        return [self._worker.rows()]

    def lost(self) -> list[str]:
        """Return no worker."""
        return []

    def silent(self) -> list[str]:
        """Return no worker: without it there is no run."""
        return []

    def failed(self) -> str:
        """Return why it can't go on."""
        return self._worker.progress().failed

    def measure(self, start_us: int, end_us: int) -> None:
        """Have it measure."""
        self._worker.measure(start_us, end_us)

    def settle(self, skips: dict[str, ServerSkips]) -> None:
        """Have it settle its accounts."""
        self._worker.settle({}, skips)

    def parts(self) -> list[WorkerRecord]:
        """Return what it measured."""
        return [self._worker.part()] if self._worker.phase == "settled" else []

    def bring_guests(self, total: int) -> None:
        """Have it connect them."""
        self._worker.bring_guests(total)

    def dismiss_guests(self) -> None:
        """Have the guests leave."""
        self._worker.dismiss_guests()


class RemoteWorkers:
    """The workers that are connected to this master when a run begins; ``run`` tells its reports from others'."""

    order_takes_s = 1.5

    def __init__(self, runner: MasterRunner, run: str) -> None:
        self._runner = runner
        self._run = run
        self._members = [client.id for client in runner.clients.all]
        self.knocks = len(self._members)
        self._reports: dict[str, dict[str, Any]] = {}
        self._parts: dict[str, WorkerRecord] = {}

    def take_report(self, client_id: str, report: dict[str, Any]) -> None:
        """Take a worker's report."""
        if report.get("run") == self._run and client_id in self._members:
            self._reports[client_id] = report
            if "part" in report:
                self._parts[client_id] = WorkerRecord.from_wire(report["part"])

    def progress(self) -> list[Progress]:
        """Return how far each worker has got that has reported and is not gone."""
        gone = self.lost()
        reports = [report for client, report in self._reports.items() if client not in gone]
        return [Progress(**report["progress"]) for report in reports if "progress" in report]

    def rows(self) -> list[Rows]:
        """Return the latest counts of each worker, gone or not."""
        return [Rows.from_wire(report["rows"]) for report in self._reports.values() if "rows" in report]

    def lost(self) -> list[str]:
        """Return the workers that are gone, or have sent no heartbeat (by Locust's own count: 3 s)."""
        clients = self._runner.clients
        return [
            member
            for member in self._members
            if member not in self._parts and (member not in clients or clients[member].state == STATE_MISSING)
        ]

    def silent(self) -> list[str]:
        """Return the workers whose part has not come, gone or not."""
        return [member for member in self._members if member not in self._parts]

    def failed(self) -> str:
        """Return why the first worker that failed could not begin, or go on; empty where none failed."""
        failed = [report["failed"] for report in self._reports.values() if "failed" in report]
        failed += [report["progress"]["failed"] for report in self._reports.values() if "progress" in report]
        return next((why for why in failed if why), "")

    def measure(self, start_us: int, end_us: int) -> None:
        """Have all measure."""
        self._order({"do": "measure", "start_us": start_us, "end_us": end_us})

    def settle(self, skips: dict[str, ServerSkips]) -> None:
        """Tell each worker which ticks the others saw, and have it settle its accounts."""
        seen = {client: report.get("seen", {}) for client, report in self._reports.items()}
        for client in seen:
            ticks: dict[str, list[Any]] = {}
            for other, rooms in seen.items():
                if other != client:
                    for name, columns in rooms.items():
                        mine = ticks.setdefault(name, [b"", b"", b""])
                        ticks[name] = [old + bytes(new) for old, new in zip(mine, columns, strict=True)]
            self._order({"do": "settle", "ticks": ticks, "skips": skips}, client)

    def parts(self) -> list[WorkerRecord]:
        """Return what the workers that have settled measured, in order of their numbers."""
        return sorted(self._parts.values(), key=lambda part: part.worker)

    def bring_guests(self, total: int) -> None:
        """Have each worker connect its share of the guests."""
        there = [member for member in self._members if member not in self.lost()]
        for place, client in enumerate(there):
            share = total * (place + 1) // len(there) - total * place // len(there)
            self._order({"do": "bring", "total": share}, client)

    def dismiss_guests(self) -> None:
        """Have the guests leave."""
        self._order({"do": "dismiss"})

    def _order(self, order: dict[str, Any], client_id: str | None = None) -> None:
        self._runner.send_message(ORDER, {"run": self._run, **order}, client_id)


class MasterLink:
    """A worker's side of the exchange with the master, for one run."""

    def __init__(self, run: str, worker: LoadWorker | None, failed: str = "") -> None:
        self._run = run
        self._worker = worker
        self._failed = failed
        self._part_told = False

    def report(self) -> dict[str, Any]:
        """Return the report for the master."""
        report: dict[str, Any] = {"run": self._run}
        if self._worker is None:
            return report | {"failed": self._failed}
        report["progress"] = self._worker.progress().to_wire()
        report["rows"] = self._worker.rows().to_wire()
        if self._worker.phase == "drained":
            report["seen"] = self._worker.ticks_seen()
        if self._worker.phase == "settled" and not self._part_told:  # only once: it is large
            self._part_told = True
            report["part"] = self._worker.part().to_wire()
        return report

    def take_order(self, order: dict[str, Any]) -> None:
        """Do what the master says."""
        if order.get("run") != self._run or self._worker is None:
            return
        if order["do"] == "measure":
            self._worker.measure(order["start_us"], order["end_us"])
        elif order["do"] == "settle":
            skips = {room: ServerSkips(*of) for room, of in order["skips"].items()}
            self._worker.settle(order["ticks"], skips)
        elif order["do"] == "bring":
            self._worker.bring_guests(order["total"])
        elif order["do"] == "dismiss":
            self._worker.dismiss_guests()


def listen_for_orders(runner: WorkerRunner, take: Any) -> None:
    """Hand the master's orders to ``take`` as they come."""
    runner.register_message(ORDER, lambda environment, msg: take(msg.data))  # noqa: ARG005 - Locust passes both by name
