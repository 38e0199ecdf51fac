"""Whether what one peer does disturbs another one, in the same room or elsewhere."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.support.client import PATIENCE_S
from tests.support.player import Player
from tests.support.server import RunningServer


def assert_every_tick_came(player: Player, server: RunningServer, room: str) -> None:
    """Check that the player got each tick frame of the room from its first to its latest, once and in order."""
    numbers = [tick.n for tick in player.ticks]
    assert numbers == sorted(set(numbers))
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    if missing:  # due times that a busy machine made the server skip are no ticks
        stats = server.room_stats(room)
        assert stats is not None
        assert missing <= stats["skipped_ticks"], f"{missing} tick frames are missing"


def assert_no_tick_was_lost(told: Sequence[Sequence[int]], skipped_ticks: int) -> None:
    """
    Check that of many in one room all were told the same ticks, from the first to the latest of each, in order.

    Of all those no more numbers are missing than there were ticks that the server skipped.
    """
    sent = sorted({n for ticks in told for n in ticks})
    for ticks in told:
        assert ticks == [n for n in sent if ticks[0] <= n <= ticks[-1]]
    assert sent[-1] - sent[0] + 1 - len(sent) <= skipped_ticks


@contextmanager
def undisturbed(server: RunningServer, room: str) -> Iterator[Player]:
    """Have somebody look on from the same room, who must miss nothing, before, meanwhile and after."""
    bystander = server.enter(room, "bystander")
    bystander.next_tick()
    yield bystander
    bystander.ping()
    for _ in range(2):
        bystander.next_tick()
    assert_every_tick_came(bystander, server, room)


@contextmanager
def undisturbed_for_long(server: RunningServer, room: str) -> Iterator[None]:
    """Have somebody look on who reads all the while, in a thread, and must miss nothing."""
    over = threading.Event()
    with undisturbed(server, room) as bystander, ThreadPoolExecutor(1) as pool:
        reading = pool.submit(_read_until, bystander, over)
        try:
            yield
        finally:
            over.set()
        reading.result(PATIENCE_S)


def _read_until(bystander: Player, over: threading.Event) -> None:
    while not over.is_set():
        bystander.next_tick()
