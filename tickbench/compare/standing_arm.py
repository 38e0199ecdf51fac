"""
An arm that stands still whenever it is not measured: a server with its connections, and the generator that holds them.

Both are stopped (SIGSTOP), each with its whole process group, so that several arms can be there at once and one at a
time runs. The generator is told what to do by a line on its stdin and answers by a line on its stdout, both JSON
(``python -m loadtests --slots``).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import psutil

from shared.measure.load_time import DEFAULT_SPAWN_RATE, load_time_s
from shared.measure.orders import (
    Answer,
    AnyOrder,
    EndOrder,
    Ready,
    SlotOrder,
    Summed,
    SumOrder,
    UsersOrder,
    UsersUp,
    WarmOrder,
)
from tickbench.children.processes import Child, Nursery
from tickbench.compare.plan import PlannedRun, run_estimate_s
from tickbench.compare.runs import Run
from tickbench.compare.trial import (
    LOAD_GRACE_S,
    LOAD_SLACK_S,
    STOP_GRACE_S,
    Trial,
    by_server,
    check_serves,
    check_summed,
    note_failure,
    read_load,
    record_of,
    server_words,
    summary_in,
    wait_for_load,
    wait_until_ready,
)
from tickbench.errors import RunFailedError
from tickbench.machine.quiet import Quiet

ORDER_SLACK_S = 45.0
"""What an order may take longer than it is told to, before the arm is given up: a server that hardly answers is asked
for its /stats twice (10 s each at most), and to let the last users in may take it 40 s."""
LOOK_S = 0.5
"""How often a server is looked at while its generator is listened to."""
COMING_LOOK_S = 0.02
"""How long one arm is listened to while several connect."""
ENDING_WAIT_S = 1.0
"""How long a generator whose pipes are closed may take to end: then its exit status says more."""


Said = TypeVar("Said", bound=Answer)


class StandingArm:
    """
    One arm: its server and its generator, which run while an order is carried out and stand still otherwise.

    Whatever goes wrong ends both, and :attr:`has_failed`: then nothing more is to be asked of it but :meth:`run`. Only
    the user's interrupt is raised.

    """

    def __init__(self, planned: PlannedRun, trial: Trial, nursery: Nursery, scratch: Path) -> None:
        """Prepare an arm; ``nursery`` owns its processes, ``scratch`` is a folder that it makes."""
        self.planned = planned
        self.is_coming = False
        """Its generator has been started, and has not said yet that everybody is there."""
        self._trial = trial
        self._nursery = nursery
        self._scratch = scratch
        self._server: Child | None = None
        self._generator: Child | None = None
        self._url = ""
        self._words: dict[str, dict[str, Any] | None] = {}
        self._outcome: dict[str, Any] = {}
        self._started_at = datetime.now(UTC)
        self._give_up_at = 0.0
        self._answer_s = self._answer_by = 0.0

    @property
    def name(self) -> str:
        """Which arm it is, and whether for the second time."""
        return f"{self.planned.arm.name}{' again' if self.planned.again else ''}"

    @property
    def has_failed(self) -> bool:
        """Whether something went wrong."""
        return "reason" in self._outcome

    def start(self) -> None:
        """Start the server, and the generator as soon as the server is ready; :meth:`come` has to follow."""
        with self._failing():
            self._started_at = datetime.now(UTC)
            self._scratch.mkdir()
            with by_server():
                self._server, port = self._trial.start_server(self.planned, self._nursery, self._scratch)
                self._url = wait_until_ready(self._server, port)
            self._generator = self._trial.start_generator(
                self.planned, self._url, self._nursery, self._scratch, in_slots=True
            )
            self._give_up_at = time.monotonic() + _ramp_s(self.planned) + LOAD_SLACK_S
            self.is_coming = True

    def come(self, timeout_s: float) -> None:
        """Wait ``timeout_s`` at most for the end of the ramp; from then on the arm stands still."""
        with self._failing():
            server, generator = self._children()
            if generator.has_said(timeout_s):
                self._heard(Ready)
                self._words = server_words(self._url)
                self.is_coming = False
                self._stand_still()
            elif time.monotonic() > self._give_up_at:
                raise RunFailedError(f"the load run had not begun after {LOAD_SLACK_S:g} s{generator.last_words()}")
            else:
                check_serves(server)

    @property
    def pids(self) -> list[int]:
        """The pids of all its processes: server and generator, and the children of both."""
        found = []
        for child in self._children():
            with suppress(psutil.NoSuchProcess):
                own = psutil.Process(child.pid)
                found += [own.pid, *(each.pid for each in own.children(recursive=True))]
        return found

    def carry_out(self, order: AnyOrder, kind: type[Said]) -> Said | None:
        """
        Wake the arm, have the order carried out, and let the arm stand still again.

        Return the answer, which is to be of this ``kind``; None if the arm has failed.

        """
        return carry_out_together([self], [order], kind)[0]

    def begin(self, order: AnyOrder) -> None:
        """Wake the arm and give it an order; :meth:`hear` and :meth:`rest` have to follow."""
        with self._failing():
            self._wake()
            ramp_s = _ramp_s(self.planned, order.number) if isinstance(order, UsersOrder) else 0.0
            seconds = order.seconds if isinstance(order, WarmOrder | SlotOrder) else 0.0
            self._answer_s = seconds + ramp_s + ORDER_SLACK_S
            self._answer_by = time.monotonic() + self._answer_s
            _tell(self._children()[1], order)

    def hear(self, kind: type[Said]) -> Said | None:
        """Wait for the answer, which is to be of this ``kind``; None if the arm has failed."""
        with self._failing():
            server, generator = self._children()
            while not generator.has_said(LOOK_S):
                check_serves(server)
                if time.monotonic() > self._answer_by:
                    raise RunFailedError(f"the load run said nothing for {self._answer_s:g} s{generator.last_words()}")
            return self._heard(kind)
        return None

    def rest(self) -> None:
        """Let the arm stand still."""
        with self._failing():
            self._stand_still()
            check_serves(self._children()[0])

    def rise(self, planned: PlannedRun) -> None:
        """Go on with another run on the same server, its load higher or lower, unless the arm has failed."""
        before = self.planned.connections
        if self.has_failed:
            self.planned = planned
            return
        self.planned, self._started_at, self._outcome = planned, datetime.now(UTC), {}
        if planned.connections != before:
            way = "up" if planned.connections > before else "down"
            self._trial.tell(f"{way} to {planned.connections} connections")
            self.carry_out(UsersOrder(planned.connections), UsersUp)

    def sum_up(self) -> None:
        """Have the generator write its summary of the slots since the last one; the arm stays."""
        self.carry_out(SumOrder(), Summed)
        if not self.has_failed:
            with self._failing():
                self._outcome["load"] = read_load(summary_in(self._scratch))
                self._outcome |= self._words
                self._record()

    def finish(self) -> None:
        """Wake the arm a last time, have the generator write its summary, and end both."""
        with self._failing():
            server, generator = self._children()
            self._wake()
            _tell(generator, EndOrder())
            wait_for_load(generator, server, run_estimate_s(self.planned) + LOAD_SLACK_S)
            generator.stop(LOAD_GRACE_S)
            check_summed(generator)
            self._outcome["load"] = read_load(summary_in(self._scratch))
            self._outcome |= self._words
            self._end()

    def run(self, quiet: Quiet | None, took_s: float) -> Run:
        """Return what became of the arm, finished or failed, once it has ended."""
        return self._trial.made(self.planned, self._outcome, quiet, self._started_at, took_s)

    def _children(self) -> tuple[Child, Child]:
        assert self._server is not None  # noqa: S101 # it was started
        assert self._generator is not None  # noqa: S101 # as above
        return self._server, self._generator

    def _wake(self) -> None:
        server, generator = self._children()
        generator.wake()  # first: it is to read what the server sends from the start
        server.wake()

    def _stand_still(self) -> None:
        server, generator = self._children()
        server.stand_still()  # first: nothing is to be sent to whom does not read
        generator.stand_still()

    def _heard(self, kind: type[Said]) -> Said:
        _, generator = self._children()
        line = generator.hear(0)
        try:
            return msgspec.json.decode(line, type=kind)
        except msgspec.DecodeError as error:
            expected = kind.__struct_config__.tag
            raise RunFailedError(f"the load run said {line[:80]!r}, no answer to {expected!r}") from error

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Note what goes wrong, and end the arm then."""
        assert not self.has_failed  # noqa: S101 # it would need its children
        try:
            yield
        except (RunFailedError, OSError) as error:
            self.is_coming = False
            cause = self._cause(error)
            try:
                self._end()
            except RunFailedError as stuck:
                cause = stuck
            note_failure(cause, self._outcome)

    def _cause(self, error: Exception) -> Exception:
        """Return what is behind an error: that the server has ended, or that the generator has; else itself."""
        server, generator = self._server, self._generator
        if server is not None and server.exit_status is None:
            try:
                check_serves(server)
            except RunFailedError as ended:
                return ended
        if generator is not None and generator.exit_status is None and generator.wait(ENDING_WAIT_S):
            generator.stop(grace_s=0)
            return RunFailedError(f"the load run ended with {generator.how_it_ended()}{generator.last_words()}")
        return error

    def _end(self) -> None:
        try:
            if self._generator is not None:
                self._generator.stop(LOAD_GRACE_S)
        finally:  # a server that went on would share its core with all other arms
            if self._server is not None:
                self._server.stop(STOP_GRACE_S)
        self._record()

    def _record(self) -> None:
        for name, child in (("generator", self._generator), ("server", self._server)):
            if child is not None:
                self._outcome[name] = record_of(child)


def carry_out_together(arms: Sequence[StandingArm], orders: Sequence[AnyOrder], kind: type[Said]) -> list[Said | None]:
    """Have arms carry out an order each at the same time, as :meth:`StandingArm.carry_out` has one."""
    for arm, order in zip(arms, orders, strict=True):
        arm.begin(order)
    answers = [None if arm.has_failed else arm.hear(kind) for arm in arms]
    for arm in arms:
        if not arm.has_failed:
            arm.rest()
    return [None if arm.has_failed else answer for arm, answer in zip(arms, answers, strict=True)]


def start_together(arms: Sequence[StandingArm], tell: Callable[[str], None]) -> None:
    """
    Start all arms; return when each of them stands still, its connections made, or has failed.

    Servers start one after the other on their core and generators all at once on theirs, each as soon as its server is
    ready: both cores are busy, with nothing but importing, until the last one is there.

    """
    for arm in arms:
        tell(f"starting {arm.name}")
        arm.start()
        _let_come(arms, 0)
    tell("connecting")
    while any(arm.is_coming for arm in arms):
        _let_come(arms, COMING_LOOK_S)


def _let_come(arms: Sequence[StandingArm], timeout_s: float) -> None:
    for arm in arms:
        if arm.is_coming:
            arm.come(timeout_s)


def _tell(generator: Child, order: AnyOrder) -> None:
    generator.say(msgspec.json.encode(order).decode() + "\n")


def _ramp_s(planned: PlannedRun, users: int | None = None) -> float:
    spawn_rate = float(planned.load.get("spawn-rate", DEFAULT_SPAWN_RATE))
    users = planned.connections if users is None else users
    return load_time_s(users, spawn_rate=spawn_rate, warm_up_s=0, duration_s=0, extra_connections=0)
