"""Checks of the tick frames: two clients listen to a room, one joins later, and all checks judge what they got."""

import select
import time
from collections.abc import Sequence
from contextlib import suppress

from tickbench.conformance import ticks
from tickbench.conformance.check import check, raise_flaws
from tickbench.conformance.peer import Peer, SilenceError
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.verdict import FaultError, NotTriedError, quote

IDLE_TICKS, SAMPLE_TICKS = 10, 20
"""Ticks that each of the two is to get before one of them joins, and in all."""
LONGEST_SAMPLE_S = 8.0
EMPTY_PERIODS = 4
"""How long the room is left empty, to see that n and t0 go on."""
FEWEST = 3


def take_sample(server: ServerUnderTest) -> tuple[Peer, Peer]:
    """Return two clients that listened, once for all checks. NotTriedError if that was too little."""
    ours, theirs = server.once(listen)
    if len(ours.ticks) < FEWEST:
        raise NotTriedError("too few tick frames came; see every-tick")
    return ours, theirs


def listen(server: ServerUnderTest) -> tuple[Peer, Peer]:
    """Let two listen until each has some ticks, or it takes too long; then let one of them join, and go on."""
    room = server.fresh_room()
    ours, theirs = server.enter(room), server.enter(room)
    _hear(server, (ours, theirs), IDLE_TICKS)
    theirs.send(["join"])
    _hear(server, (ours, theirs), SAMPLE_TICKS)
    server.learn_rate(ours.ticks)
    return ours, theirs


def _hear(server: ServerUnderTest, peers: Sequence[Peer], ticks_each: int) -> None:
    until = time.monotonic() + min(LONGEST_SAMPLE_S, server.patience_s + ticks_each * server.period_s)
    while time.monotonic() < until and min(len(peer.ticks) for peer in peers) < ticks_each:
        for peer in select.select(peers, [], [], max(0.0, until - time.monotonic()))[0]:
            with suppress(SilenceError):  # it was a pong, or part of a frame
                peer.next(patience_s=0.05)


@check("One tick frame a room and tick, also when nothing changed.", grade="measurement")
def every_tick(server: ServerUnderTest) -> None:
    ours, theirs = server.once(listen)
    seen = ours.ticks
    if len(seen) < FEWEST:
        raise FaultError(f"in a room in which nobody plays came {len(seen)} tick frames")
    idle = seen[:IDLE_TICKS]
    if ticks.is_seldom(idle):
        raise FaultError(f"in a room in which nobody plays came {len(idle)} frames from {idle[0]} to {idle[-1]}")
    double = [message for message in ours.heard if len(message.ticks) > 1]
    if double:
        raise FaultError(f"two ticks in one frame: {quote(double[0].text)}")
    numbers = [tick.n for tick in seen]
    missed = sorted({tick.n for tick in theirs.ticks} - {*numbers})
    gaps = [n for n in missed if numbers[0] < n < numbers[-1]]
    if gaps and len({*numbers}) == len(numbers):
        raise FaultError(f"tick {gaps[0]} came to one of two in a room only", "every tick comes to everybody")


@check("tick is the first command of every tick frame.", grade="measurement")
def tick_first(server: ServerUnderTest) -> None:
    for message in take_sample(server)[0].heard:
        if message.ticks and message.commands[0][0] != "tick":
            raise FaultError(quote(message.text))


@check("n grows by one a period; a due time that is missed is skipped.", grade="measurement")
def tick_numbers(server: ServerUnderTest) -> str | None:
    seen = take_sample(server)[0].ticks
    raise_flaws([ticks.numbers_flaw(seen)], "n grows by one, by more only where due times were skipped")
    raise_flaws([ticks.jump_flaw(seen)], "n grows by one a period; it jumps only over due times that were missed")
    return ticks.skips(seen)


@check("due_us is t0_us + n * 1_000_000 // tick_rate_hz.", grade="measurement")
def due_grid(server: ServerUnderTest) -> str | None:
    seen = take_sample(server)[0].ticks
    raise_flaws([ticks.grid_flaw(seen, server.told_rate_hz)])
    if server.told_rate_hz or not (rate_hz := ticks.rate_of(seen)):
        return None
    return f"judged by a rate that was estimated, {float(rate_hz):.3f} Hz: /stats does not tell it"


@check(
    "sent_us is taken when the frame is built, not before the tick is due.",
    "sent_us is microseconds since the Unix epoch, taken when the frame is built",
    grade="measurement",
)
def sent_us(server: ServerUnderTest) -> str | None:
    seen = take_sample(server)[0].ticks
    raise_flaws([ticks.sent_flaw(seen) or ticks.arrival_flaw(seen, same_host=server.is_on_this_host)])
    return ticks.arrival_note(seen)


@check(
    "All connections of a room get the same bytes for the same tick.",
    "the same bytes for the same tick",
    grade="measurement",
)
def same_bytes(server: ServerUnderTest) -> None:
    ours, theirs = take_sample(server)
    raise_flaws([ticks.bytes_flaw(ours.ticks, theirs.ticks)])


@check(
    "n and t0 belong to the room and go on when it was empty.",
    "n and t0 belong to the room and go on when its loop stops and starts again",
    grade="measurement",
)
def n_goes_on(server: ServerUnderTest) -> None:
    """Leave a room empty for a while and come back: the ticks of both stays are on one grid."""
    room = server.fresh_room()
    first = server.enter(room)
    first.next_tick()
    before = first.next_tick()
    first.hang_up()
    time.sleep(EMPTY_PERIODS * server.period_s)
    second = server.enter(room)
    after = [second.next_tick(), second.next_tick()]
    if after[0].n <= before.n:
        raise FaultError(f"{after[0]} came to one who entered the room behind {before}")
    raise_flaws([ticks.grid_flaw([before, *after], server.told_rate_hz)])
