"""Messages that inflate to a hundred megabytes, twenty at once while others play: each of them is told 1009."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache

import pytest

from tests.conftest import DEFLATES, FULL_SIZE, Serve
from tests.support.attacks.trial import BACK_LIMIT_S, MORE_MB, Held, held
from tests.support.client import BINARY, TEXT
from tests.support.crowd import Crowd
from tests.support.deflating_client import AS_BROWSERS, TAIL, DeflatingClient, Packer, in_pieces, open_echo, open_room
from tests.support.server import RunningServer, wait_until

pytestmark = [pytest.mark.differs(), pytest.mark.xdist_group("cores")]

BOMBS, PLAYERS = 20, 50
ROUNDS = 20 if FULL_SIZE else 3
MB = 10**6
SIZE = 100 * MB
TOO_BIG = 1009


@cache
def packed(size: int) -> bytes:
    """Return so many spaces in one block; which takes a while, and only whoever bursts needs it."""
    return Packer(level=9).pack(b" " * size)


def blocks(size: int) -> bytes:
    return packed(size) + TAIL


BOMBSHELLS: dict[str, Callable[[], bytes]] = {
    "one block": lambda: in_pieces(TEXT, packed(SIZE), 2**20),
    "blocks": lambda: in_pieces(BINARY, blocks(MB) * (SIZE // MB), 2**20),
    "pieces": lambda: in_pieces(TEXT, packed(SIZE), 4096),
    "small pieces": lambda: in_pieces(BINARY, packed(SIZE), 16),
    "behind as much as may be": lambda: in_pieces(TEXT, blocks(2**20) + packed(SIZE), len(blocks(2**20))),
    "in a room": lambda: in_pieces(TEXT, packed(4 * MB), 2**20),
}
"""Of about 100 KB each, well within what ``/echo`` takes; the last of as much as goes into the 4 KiB of a room."""


def told(clients: list[DeflatingClient], message: bytes) -> list[int]:
    """Have all send a message at once; return the code that each is closed with."""
    for client in clients:
        client.send_raw(message)
    codes = [client.expect_close() for client in clients]
    for client in clients:
        client.hang_up()
    return codes


def stand(server: RunningServer, crowd: Crowd, message: bytes, room: str | None) -> float:
    """Have a crowd play on while they burst, for some rounds; return how many MB more the server had meanwhile."""
    before = peak = held(server).rss_bytes
    with ThreadPoolExecutor(1) as thread:
        for _ in range(ROUNDS):
            clients = [
                open_room(server, room, AS_BROWSERS) if room else open_echo(server, AS_BROWSERS) for _ in range(BOMBS)
            ]
            assert all(client.agreement for client in clients)
            codes = thread.submit(told, clients, message)
            while not codes.done():
                crowd.play(0.02)
                peak = max(peak, held(server).rss_bytes)
            assert codes.result() == [TOO_BIG] * BOMBS
    return (peak - before) / MB


def is_back(server: RunningServer, crowd: Crowd, before: Held) -> bool:
    crowd.play(0.1)
    now = held(server)
    return now.rss_bytes - before.rss_bytes <= MORE_MB * MB and now.fds <= before.fds


@pytest.mark.timeout(180)
@pytest.mark.parametrize("shell", BOMBSHELLS)
def test_bombs_are_nobody_elses_trouble(serve: Serve, deflate: str, shell: str) -> None:
    room, message = "main" if shell == "in a room" else None, BOMBSHELLS[shell]()
    with (
        serve("--tick-budget", "0", "--echo", *DEFLATES[deflate]) as server,
        closing(Crowd(server, PLAYERS)) as crowd,
    ):
        crowd.play(0.5)
        before = held(server)
        more_mb = stand(server, crowd, message, room)
        assert more_mb < SIZE / MB, "one of them was inflated"
        wait_until(lambda: is_back(server, crowd, before), BACK_LIMIT_S)
        crowd.finish()
        stats = server.room_stats("main")
        assert stats is not None
        crowd.assert_nothing_was_lost(stats["skipped_ticks"])
        assert server.stats()["closed"] == {str(TOO_BIG): ROUNDS * BOMBS}
