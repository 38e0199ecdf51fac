"""Checks of the tick frames: two clients listen to a room, one joins later, and all checks judge what they got."""

import select
import time
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from typing import NamedTuple

from tickbench.conformance import ticks
from tickbench.conformance.check import Check
from tickbench.conformance.peer import Message, Peer, SilenceError
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.ticks import SeenTick
from tickbench.conformance.verdict import FaultError, NotTriedError, quote

IDLE_TICKS, SAMPLE_TICKS = 10, 20
"""Ticks that each of the two is to get before one of them joins, and in all."""
LONGEST_SAMPLE_S = 8.0
EMPTY_PERIODS = 4
"""How long the room is left empty, to see that n and t0 go on."""
FEWEST = 3


class Sample(NamedTuple):
    """What two in one room got, side by side."""

    ours: list[Message]
    theirs: list[Message]
    rate_hz: Fraction | None
    """As the server told it."""

    @property
    def ticks(self) -> list[SeenTick]:
        """The ticks of the first of the two."""
        return ticks_of(self.ours)


def ticks_of(messages: Sequence[Message]) -> list[SeenTick]:
    """Return what the tick frames say of their ticks."""
    return [tick for message in messages if (tick := message.tick)]


def take_sample(subject: ServerUnderTest) -> Sample:
    """
    Return what two clients got; they listen once, for all checks.

    Raises:
        NotTriedError: too few ticks came; there is a check for that.

    """
    sample = _sample(subject)
    if len(sample.ticks) < FEWEST:
        raise NotTriedError("too few tick frames came; see every-tick")
    return sample


def _sample(subject: ServerUnderTest) -> Sample:
    if "ticks" not in subject.samples:
        subject.samples["ticks"] = listen(subject)
    sample: Sample = subject.samples["ticks"]
    return sample


def listen(subject: ServerUnderTest) -> Sample:
    """Let two listen until each has some ticks, or it takes too long; then let one of them join, and go on."""
    room = subject.fresh_room()
    ours, theirs = subject.enter(room), subject.enter(room)
    sample = Sample([], [], subject.told_rate_hz)
    heard = {ours: sample.ours, theirs: sample.theirs}
    _hear(subject, heard, IDLE_TICKS)
    theirs.send(["join"])
    _hear(subject, heard, SAMPLE_TICKS)
    subject.learn_rate(sample.ticks)
    return sample


def _hear(subject: ServerUnderTest, heard: dict[Peer, list[Message]], ticks_each: int) -> None:
    until = time.monotonic() + min(LONGEST_SAMPLE_S, subject.patience_s + ticks_each * subject.period_s)
    while time.monotonic() < until and min(len(ticks_of(came)) for came in heard.values()) < ticks_each:
        for peer in select.select(list(heard), [], [], max(0.0, until - time.monotonic()))[0]:
            _take_one(peer, heard[peer])


def _take_one(peer: Peer, came: list[Message]) -> None:
    with suppress(SilenceError):  # it was a pong, or part of a frame
        came.append(peer.next(0.05))


def check_every_tick(subject: ServerUnderTest) -> str | None:
    """Count the frames, above all those of a room in which nobody plays."""
    right = "one tick frame a room and tick, also when nothing changed"
    sample = _sample(subject)
    seen = sample.ticks
    if len(seen) < FEWEST:
        raise FaultError(f"in a room in which nobody plays came {len(seen)} tick frames", right)
    idle = seen[:IDLE_TICKS]
    if ticks.is_seldom(idle):
        raise FaultError(f"in a room in which nobody plays came {len(idle)} frames from {idle[0]} to {idle[-1]}", right)
    double = [message for message in sample.ours if len(message.named("tick")) > 1]
    if double:
        raise FaultError(f"two ticks in one frame: {quote(double[0].text)}", right)
    twice = {tick.n for tick in seen if [other.n for other in seen].count(tick.n) > 1}
    missed = sorted({tick.n for tick in ticks_of(sample.theirs)} - {tick.n for tick in seen})
    gaps = [n for n in missed if seen[0].n < n < seen[-1].n]
    if gaps and not twice:
        raise FaultError(f"tick {gaps[0]} came to one of two in a room only", "every tick comes to everybody")
    return None


def check_tick_first(subject: ServerUnderTest) -> str | None:
    """Look where in its frame the tick stands."""
    for message in take_sample(subject).ours:
        if message.tick and message.commands[0][0] != "tick":
            raise FaultError(quote(message.text), "tick is the first command of every tick frame")
    return None


def check_numbers(subject: ServerUnderTest) -> str | None:
    """Look how n grows."""
    seen = take_sample(subject).ticks
    if flaw := ticks.numbers_flaw(seen):
        raise FaultError(flaw, "n grows by one, by more only where due times were skipped")
    if flaw := ticks.jump_flaw(seen):
        raise FaultError(flaw, "n grows by one a period; it jumps only over due times that were missed")
    return ticks.skips(seen)


def check_due_grid(subject: ServerUnderTest) -> str | None:
    """Look at the due times."""
    sample = take_sample(subject)
    if flaw := ticks.grid_flaw(sample.ticks, sample.rate_hz):
        raise FaultError(flaw, "due_us is t0_us + n * 1_000_000 // tick_rate_hz")
    if sample.rate_hz is None:
        rate_hz = ticks.rate_of(sample.ticks)
        return f"judged by a rate that was estimated, {rate_hz:.3f} Hz: /stats does not tell it" if rate_hz else None
    return None


def check_sent_us(subject: ServerUnderTest) -> str | None:
    """Look when frames were built."""
    sample = take_sample(subject)
    flaw = ticks.sent_flaw(sample.ticks) or ticks.arrival_flaw(sample.ticks, same_host=subject.is_on_this_host)
    if flaw:
        raise FaultError(flaw, ticks.SENT_RIGHT)
    return ticks.arrival_note(sample.ticks)


def check_same_bytes(subject: ServerUnderTest) -> str | None:
    """Compare what the two got."""
    sample = take_sample(subject)
    theirs = ticks_of(sample.theirs)
    if not ticks.common_count(sample.ticks, theirs):
        raise FaultError(f"no tick came to both: {sample.ticks[0]}, {theirs[0] if theirs else 'nothing'}", "the same")
    if pair := ticks.difference(sample.ticks, theirs):
        raise FaultError(f"{quote(pair[0].text)} and {quote(pair[1].text)}", "the same bytes for the same tick")
    return None


def check_goes_on(subject: ServerUnderTest) -> str | None:
    """Leave a room empty for a while and come back: the ticks of both stays are on one grid."""
    room = subject.fresh_room()
    first = subject.enter(room)
    before = ticks_of([first.next_tick(), first.next_tick()])[-1]
    first.hang_up()
    time.sleep(EMPTY_PERIODS * subject.period_s)
    second = subject.enter(room)
    after = ticks_of([second.next_tick(), second.next_tick()])
    right = "n and t0 belong to the room and go on when its loop stops and starts again"
    if after[0].n <= before.n:
        raise FaultError(f"{after[0]} came to one who entered the room behind {before}", right)
    if flaw := ticks.grid_flaw([before, *after], subject.told_rate_hz):
        raise FaultError(flaw, right)
    return None


CHECKS = (
    Check("every-tick", "One tick frame a room and tick, also when nothing changed.", check_every_tick),
    Check("tick-first", "tick is the first command of every tick frame.", check_tick_first),
    Check("tick-numbers", "n grows by one a period; a due time that is missed is skipped.", check_numbers),
    Check("due-grid", "due_us is t0_us + n * 1_000_000 // tick_rate_hz.", check_due_grid),
    Check("sent-us", "sent_us is taken when the frame is built, not before the tick is due.", check_sent_us),
    Check("same-bytes", "All connections of a room get the same bytes for the same tick.", check_same_bytes),
    Check("n-goes-on", "n and t0 belong to the room and go on when it was empty.", check_goes_on),
)
