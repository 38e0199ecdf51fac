"""What Channels has of its own: layers that drop what is too much, and a thread that it asks before each event."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import closing
from types import SimpleNamespace
from typing import Any, cast

import channels.consumer
import channels.layers
import pytest

from backends.asyncio_server.frameworks import channels as framework
from backends.asyncio_server.frameworks import redis_layers
from backends.asyncio_server.frameworks.channels import (
    CountingLayer,
    SeatConsumer,
    UndelayedSeat,
)
from backends.asyncio_server.frameworks.redis_layers import REDIS_LAYERS, ListLayer, RedisLayer
from shared.measure.counters import Counters
from shared.server.frameworks import LAYERS
from shared.server.layer_redis import LayerRedis
from tests.support.crowd import Crowd
from tests.support.server import run_server, wait_until

CAPACITY, EXPIRY_S = (cast("int", LAYERS["memory"].bounds[name]) for name in ("capacity", "expiry_s"))


def test_what_is_over_the_capacity_is_dropped_and_counted() -> None:
    counters = Counters()
    layer = CountingLayer(counters, lambda: 0)

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


def test_what_waits_for_a_consumer_that_is_closed_is_let_go_of() -> None:
    layer = CountingLayer(Counters(), lambda: 0)

    async def send() -> None:
        await layer.group_add("den", "a")
        for _ in range(3):
            await layer.group_send("den", {"type": "tick.frame", "text": "[]"})
        layer.let_go("a")
        assert layer.channels["a"].empty()
        layer.let_go("b")  # who has none
        await layer.group_send("den", {"type": "tick.frame", "text": "last"})
        assert (await layer.receive("a"))["text"] == "last"
        layer.forget("a")
        assert not layer.channels

    asyncio.run(send())


def on_redis(layer: str, act: Callable[[RedisLayer, Counters], Awaitable[None]]) -> None:
    """Do something with a layer on a Redis of its own, which nothing may go wrong with."""
    counters, redis = Counters(), LayerRedis(layer)

    async def run() -> None:
        made = REDIS_LAYERS[layer](counters, redis)
        try:
            await act(made, counters)
        finally:
            await made.close()

    with closing(redis):
        redis.open()
        asyncio.run(run())
        assert redis.starts == 1


async def send(layer: RedisLayer, group: str, number: int) -> None:
    await layer.group_send(group, {"type": "tick.frame", "text": str(number)})


def test_in_redis_all_of_a_process_share_one_capacity_and_what_is_over_it_is_lost_to_all_of_a_group() -> None:
    """docs/frameworks.md says so: whatever their groups are."""

    async def act(layer: RedisLayer, counters: Counters) -> None:
        one, two, three = [await layer.new_channel() for _ in range(3)]
        for group, channel in (("one", one), ("others", two), ("others", three)):
            await layer.group_add(group, channel)
        for number in range(CAPACITY):
            await send(layer, "one", number)
        assert counters.dropped == 0
        await send(layer, "others", 0)  # for whom nothing waits
        assert counters.dropped == 2
        reading = asyncio.create_task(layer.receive(two))  # which takes all that is in Redis out of it
        queues = layer._queues()
        while one not in queues or queues[one].qsize() < CAPACITY:  # noqa: ASYNC110 # nobody tells of that
            await asyncio.sleep(0.01)
        for number in range(3):
            await send(layer, "one", CAPACITY + number)
        await send(layer, "others", 1)
        assert (await asyncio.wait_for(reading, 10))["text"] == "1"
        assert counters.dropped == 2 + 3
        texts = [(await layer.receive(one))["text"] for _ in range(CAPACITY)]
        assert texts == [str(number) for number in range(3, CAPACITY + 3)], "in the process the oldest go"
        layer.let_go(one)
        assert not queues.get(one) or queues[one].empty()

    on_redis("redis", act)


def test_with_pubsub_nothing_is_dropped_and_what_waits_for_nobody_is_let_go_of() -> None:
    async def act(layer: RedisLayer, counters: Counters) -> None:
        one, two = await layer.new_channel(), await layer.new_channel()
        for channel in (one, two):
            await layer.group_add("den", channel)
        for number in range(CAPACITY + 3):
            await send(layer, "den", number)
        texts = [(await asyncio.wait_for(layer.receive(one), 10))["text"] for _ in range(CAPACITY + 3)]
        assert texts == [str(number) for number in range(CAPACITY + 3)]
        assert (counters.dropped, layer._queues()[two].qsize()) == (0, CAPACITY + 3)
        layer.let_go(two)
        assert layer._queues()[two].empty()

    on_redis("redis-pubsub", act)


def test_many_commands_at_once_are_none_too_many_and_a_receive_waits_longer_than_for_an_answer() -> None:
    async def act(layer: RedisLayer, _: Counters) -> None:
        names = [await layer.new_channel() for _ in range(300)]
        await asyncio.gather(*(layer.group_add("den", name) for name in names))
        assert isinstance(layer, ListLayer)
        limit_s = layer.layer.create_pool(0).connection_kwargs["socket_timeout"]
        assert limit_s is None or limit_s > layer.layer.brpop_timeout

    on_redis("redis", act)


def test_what_comes_for_a_consumer_that_has_ended_is_kept_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_layers, "LINGER_S", 0.05)

    async def act(layer: RedisLayer, _: Counters) -> None:
        ended, other = await layer.new_channel(), await layer.new_channel()
        for channel in (ended, other):
            await layer.group_add("den", channel)
        await send(layer, "den", 1)
        layer.forget(ended)
        assert (await layer.receive(other))["text"] == "1"
        assert ended in layer._queues()
        await asyncio.sleep(0.2)
        assert ended not in layer._queues()

    on_redis("redis", act)


@pytest.mark.parametrize(("consumer", "asked"), [(SeatConsumer, 1), (UndelayedSeat, 0)])
def test_what_a_consumer_is_handed_takes_no_thread_but_in_naive(
    monkeypatch: pytest.MonkeyPatch, consumer: type[SeatConsumer], asked: int
) -> None:
    threads = []

    async def ask() -> None:
        threads.append(1)

    monkeypatch.setattr(channels.consumer, "aclose_old_connections", ask)
    asyncio.run(seat_of_one_who_is_gone(consumer).dispatch({"type": "tick.frame", "text": "[]"}))
    assert len(threads) == asked


def seat_of_one_who_is_gone(consumer: type[SeatConsumer] = SeatConsumer) -> SeatConsumer:
    gate: Any = None  # it is asked nothing
    seat = consumer(gate)
    seat.channel_layer, seat.channel_name = CountingLayer(Counters(), lambda: 0), "a"
    return seat


def test_who_is_gone_has_all_that_waits_for_it_let_go_of_at_once() -> None:
    """Else a stop with a thousand of them takes for ever: each message takes a thread and a look at all channels."""

    async def run() -> None:
        seat = seat_of_one_who_is_gone()
        for _ in range(3):
            await seat.channel_layer.send("a", {"type": "tick.frame", "text": "[]"})
        await seat.tick_frame(await seat.channel_layer.receive("a"))
        assert seat.channel_layer.channels["a"].empty()

    asyncio.run(run())


@pytest.mark.parametrize("layer", ["memory", "redis"])
def test_what_who_reads_nothing_can_t_be_sent_is_dropped_and_the_room_goes_on(layer: str) -> None:
    flags = ("--framework", "channels", "--fanout", "naive", "--pad", "100000", "--tick-rate", "100", "--layer", layer)
    with run_server("asyncio", *flags, "--tick-budget", "0") as server:
        server.connect("main", receive_buffer_bytes=4096).send(["new_player", "stalled"])
        wait_until(lambda: server.stats()["dropped"], 60)
        player = server.enter("main", "reader")
        first = player.next_tick().n
        assert player.next_tick().n > first
        assert server.stats()["slow_skips"] == 0


def test_a_member_is_left_out_by_the_time_in_which_the_process_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now_s=1e9, still_s=0.0)
    monkeypatch.setattr(channels.layers, "time", SimpleNamespace(time=lambda: clock.now_s))
    monkeypatch.setattr(framework, "time", lambda: clock.now_s)
    layer = CountingLayer(Counters(), lambda: round(clock.still_s * 1e6))

    async def members() -> int:
        await layer.group_send("den", {"type": "tick.frame", "text": "[]"})
        return len(layer.groups["den"])

    async def send() -> list[int]:
        await layer.group_add("den", "a")
        counts = [await members()]
        for passed_s, still_s in ((EXPIRY_S - 1, 0), (1000, 1000), (0.5, 0), (0.6, 0)):
            clock.now_s += passed_s
            clock.still_s += still_s
            counts.append(await members())
        return counts

    assert asyncio.run(send()) == [1, 1, 1, 1, 0]


@pytest.mark.full_size  # it takes longer than a message lives
@pytest.mark.timeout(200)
@pytest.mark.parametrize("framework", ["channels", "daphne"])
def test_ticks_go_on_where_the_process_stood_still_for_longer_than_a_message_lives(framework: str) -> None:
    flags = ("--framework", framework, "--fanout", "naive", "--tick-budget", "0", "--tick-rate", "40")
    with run_server("asyncio", *flags) as server, closing(Crowd(server, 60)) as crowd:
        crowd.play(2)  # there are more of them than it can serve, so of most something lies in the layer
        server.signal(signal.SIGSTOP)
        crowd.play(EXPIRY_S + 5)
        latest = max(seat.ticks[-1] for seat in crowd.seats)
        server.signal(signal.SIGCONT)
        crowd.play(20)
        assert min(seat.ticks[-1] for seat in crowd.seats) > latest
