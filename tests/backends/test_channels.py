"""What Channels has of its own: a layer that drops what is too much, and a thread that it asks before each event."""

import asyncio
from typing import Any, cast

import channels.consumer
import pytest

from backends.asyncio_server.frameworks.channels import CountingLayer, SeatConsumer, UndelayedSeat
from shared.measure.counters import Counters
from shared.server.frameworks import framework_of
from tests.support.server import run_server, wait_until

CAPACITY = cast("int", framework_of("asyncio", "channels").naive["capacity"])


def test_what_is_over_the_capacity_is_dropped_and_counted() -> None:
    counters = Counters()
    layer = CountingLayer(counters)

    async def send() -> list[int]:
        for name in ("a", "b"):
            await layer.group_add("den", name)
        dropped = []
        for _ in range(CAPACITY + 3):
            await layer.group_send("den", {"type": "tick.frame", "text": "[]"})
            dropped.append(counters.dropped)
        assert await layer.receive("a") == {"type": "tick.frame", "text": "[]"}
        await layer.group_send("den", {"type": "tick.frame", "text": "[]"})
        return [*dropped, counters.dropped]

    assert asyncio.run(send()) == [*[0] * CAPACITY, 2, 4, 6, 7]


@pytest.mark.parametrize(("consumer", "asked"), [(SeatConsumer, 1), (UndelayedSeat, 0)])
def test_what_a_consumer_is_handed_takes_no_thread_but_in_naive(
    monkeypatch: pytest.MonkeyPatch, consumer: type[SeatConsumer], asked: int
) -> None:
    threads = []

    async def ask() -> None:
        threads.append(1)

    monkeypatch.setattr(channels.consumer, "aclose_old_connections", ask)
    gate: Any = None  # it is asked nothing
    asyncio.run(consumer(gate).dispatch({"type": "tick.frame", "text": "[]"}))
    assert len(threads) == asked


def test_what_who_reads_nothing_can_t_be_sent_is_dropped_and_the_room_goes_on() -> None:
    flags = ("--framework", "channels", "--fanout", "naive", "--pad", "100000", "--tick-rate", "50")
    with run_server("asyncio", *flags, "--tick-budget", "0") as server:
        server.connect("main", receive_buffer_bytes=4096).send(["new_player", "stalled"])
        wait_until(lambda: server.stats()["dropped"], 60)
        player = server.enter("main", "reader")
        first = player.next_tick().n
        assert player.next_tick().n > first
        assert server.stats()["slow_skips"] == 0
