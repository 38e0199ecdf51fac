"""Whether a fault of one peer disturbs another one in the same room."""

from collections.abc import Iterator
from contextlib import contextmanager

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
