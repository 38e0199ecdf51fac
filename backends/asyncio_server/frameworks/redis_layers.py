"""
channels_redis' two layers on a Redis of the server's own, their defaults untouched: imported when one is chosen.

Mended here:

- A receive that fails ends its consumer, with a traceback: a Redis that ends would take all connections with it, and
  none would be told. They wait, and the server ends the rooms that went through it, which is told (1011).
- A receive asks Redis to wait for 5 s, which is also the longest that redis-py waits for any answer: it fails where
  nothing comes for so long, or where the process stood still. It waits for as long as it asked for.
- redis-py's pool has 100 connections, and a command that finds none free fails: few are given at a time.
- What is over a capacity is dropped: in Redis, of which there is a line of INFO, or in the process, where the oldest go
  without a word. It is counted.
- What comes for a consumer that has just ended is kept for good.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from channels_redis.core import BoundedQueue, RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from redis.exceptions import RedisError

from shared.measure.counters import Counters
from shared.server.layer_redis import LayerRedis

PAUSE_S = 0.1
"""Before what failed is tried again."""

TRIES = 20
"""How often a newcomer's channel is asked for."""

MOST_AT_ONCE = 16
"""Commands, beside what waits for messages."""

CLOSE_LIMIT_S = 0.5
LINGER_S = 5.0
"""In which what was on its way to a consumer that has ended has come."""


class CountingQueue(BoundedQueue):
    """What waits in the process for one consumer; the oldest is dropped where there is too much."""

    def __init__(self, counters: Counters, capacity: int) -> None:
        super().__init__(capacity)
        self._counters = counters

    def put_nowait(self, item: Any) -> None:
        """Keep a message."""
        self._counters.dropped += self.full()
        super().put_nowait(item)


class RedisLayer(ABC):
    """One of the two layers, as consumers use it."""

    def __init__(self, layer: Any, counters: Counters, redis: LayerRedis) -> None:
        self.layer = layer
        self._counters = counters
        self._redis = redis
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._logger = logging.getLogger(type(layer).__module__)
        self._logger.addFilter(self._is_news)

    async def new_channel(self) -> Any:
        """Return the name of a consumer's channel; there may be another Redis soon, if there is none now."""
        for _ in range(TRIES):
            with suppress(RedisError):
                return await self.layer.new_channel()
            await asyncio.sleep(PAUSE_S)
        return await self.layer.new_channel()

    async def receive(self, channel: str) -> Any:
        """Wait for the next message."""
        while True:
            with suppress(RedisError):
                return await self.layer.receive(channel)
            await asyncio.sleep(PAUSE_S)

    async def group_add(self, group: str, channel: str) -> None:
        """Have a channel get what is sent to a group."""
        await self._command(self.layer.group_add, group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        """Have it get no more."""
        await self._command(self.layer.group_discard, group, channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send a message to all channels of a group."""
        await self._command(self.layer.group_send, group, message)

    def let_go(self, channel: str) -> None:
        """Drop what waits for a consumer that would throw it away."""
        queue = self._queues().get(channel)
        while queue is not None and not queue.empty():
            queue.get_nowait()

    def forget(self, channel: str) -> None:
        """Keep nothing for a consumer that has ended."""
        asyncio.get_running_loop().call_later(LINGER_S, self._queues().pop, channel, None)

    async def close(self) -> None:
        """Hang up."""
        self._logger.removeFilter(self._is_news)
        with suppress(RedisError, TimeoutError):
            await asyncio.wait_for(self.layer.flush(), CLOSE_LIMIT_S)

    # For one of them

    @abstractmethod
    def _queues(self) -> dict[str, asyncio.Queue[Any]]:
        """Return what waits in the process, by channel."""

    # Private methods

    def _is_news(self, record: logging.LogRecord) -> bool:
        """Whether a record of channels_redis is to be logged: that Redis is lost is told once, and in a line."""
        return not (record.exc_info and isinstance(record.exc_info[1], RedisError))

    async def _command(self, act: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        """Do something in Redis; if it fails, take that for lost: it ends all rooms."""
        started = self._redis.starts
        try:
            async with self._turns:
                await act(*arguments)
        except RedisError as error:
            if self._redis.starts == started:  # else it is lost already
                self._redis.lost(f"failed ({error})")


class ListLayer(RedisLayer):
    """channels_redis' first layer: a sorted set in Redis for all consumers of a process, there a queue for each."""

    def __init__(self, counters: Counters, redis: LayerRedis) -> None:
        super().__init__(RedisChannelLayer(hosts=hosts(redis)), counters, redis)
        self.layer.receive_buffer = defaultdict(partial(CountingQueue, counters, self.layer.capacity))
        self._logger.setLevel(logging.INFO)

    # Private methods

    def _queues(self) -> dict[str, asyncio.Queue[Any]]:
        queues: dict[str, asyncio.Queue[Any]] = self.layer.receive_buffer
        return queues

    def _is_news(self, record: logging.LogRecord) -> bool:
        """Count what is dropped in Redis: for all of a group in this process, as they have one key there."""
        if isinstance(record.args, tuple) and "over capacity" in record.msg:
            _, channels, _ = record.args
            self._counters.dropped += int(str(channels))
        return record.levelno > logging.INFO and super()._is_news(record)


class PubSubLayer(RedisLayer):
    """channels_redis' second layer: Redis keeps nothing, and the process all that its consumers have not taken."""

    def __init__(self, counters: Counters, redis: LayerRedis) -> None:
        super().__init__(RedisPubSubChannelLayer(hosts=hosts(redis)), counters, redis)

    # Private methods

    def _queues(self) -> dict[str, asyncio.Queue[Any]]:
        queues: dict[str, asyncio.Queue[Any]] = self.layer.channels
        return queues


def hosts(redis: LayerRedis) -> list[dict[str, Any]]:
    """Return where Redis is, as channels_redis has it; an answer may take as long as it takes."""
    return [{"address": redis.url, "socket_timeout": None}]


REDIS_LAYERS: dict[str, Callable[[Counters, LayerRedis], RedisLayer]] = {
    "redis": ListLayer,
    "redis-pubsub": PubSubLayer,
}
