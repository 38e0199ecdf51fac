"""Against a Redis of their own: what it does by itself is that it ends a lease."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from shared.relay.hub import Acquire, Question, Regain, Release, Renew
from shared.relay.leases import LeaseTable
from shared.relay.scripts import redis_command
from tests.support.relays import Relay

LONG_MS = 60_000


class RedisLeases:
    """What a LeaseTable has, on Redis."""

    def __init__(self, url: str) -> None:
        self.redis: Any = Redis.from_url(url)

    def acquire(self, name: str, owner: str, ttl_ms: int) -> int | None:
        return self._ask(Acquire(1, name, owner, ttl_ms)) or None

    def renew(self, name: str, owner: str, number: int, ttl_ms: int) -> bool:
        return bool(self._ask(Renew(1, name, owner, number, ttl_ms)))

    def regain(self, name: str, owner: str, number: int, ttl_ms: int) -> bool:
        return bool(self._ask(Regain(1, name, owner, number, ttl_ms)))

    def release(self, name: str, number: int) -> bool:
        return bool(self._ask(Release(1, name, number)))

    def _ask(self, question: Question) -> int:
        answer = self.redis.execute_command(*redis_command(question))
        assert isinstance(answer, int)
        return answer


@pytest.fixture(scope="module")
def leases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisLeases]:
    relay = Relay("redis", tmp_path_factory.mktemp("redis"))
    relay.start()
    they = RedisLeases(relay.url)
    yield they
    they.redis.close()
    relay.kill()


@pytest.fixture
def old(leases: RedisLeases) -> RedisLeases:
    """A Redis that has run for longer than the leases that are asked for last."""
    while not leases.acquire("old", "a", 1):
        time.sleep(0.05)
    return leases


def test_one_that_has_just_begun_gives_none_and_believes_the_largest_number(leases: RedisLeases) -> None:
    table = LeaseTable(0)
    asked: tuple[Callable[[], tuple[object, object]], ...] = (
        lambda: (leases.acquire("young", "a", LONG_MS), table.acquire("young", "a", LONG_MS, 1, 1)),
        lambda: (leases.renew("young", "a", 7, LONG_MS), table.renew("young", "a", 7, LONG_MS, 1)),
        lambda: (leases.renew("young", "c", 6, LONG_MS), table.renew("young", "c", 6, LONG_MS, 1)),
        lambda: (leases.renew("young", "c", 8, LONG_MS), table.renew("young", "c", 8, LONG_MS, 1)),
        lambda: (leases.renew("young", "a", 7, LONG_MS), table.renew("young", "a", 7, LONG_MS, 1)),
        lambda: (leases.acquire("young", "b", LONG_MS), table.acquire("young", "b", LONG_MS, 1, 1)),
    )
    for ask in asked:
        ours, theirs = ask()
        assert ours == theirs
    assert leases.release("young", 8)


def test_a_lease_is_its_owner_s_alone_and_is_kept_by_its_number(old: RedisLeases) -> None:
    number = old.acquire("main", "a", 500)
    assert number is not None
    assert number > time.time() * 1000 - 60_000
    assert old.acquire("main", "b b", 500) is None
    assert old.renew("main", "a", number, 500)
    assert not old.renew("main", "a", number - 1, 500)
    assert not old.release("main", number - 1)
    assert 0 < old.redis.pttl("tickbench:lease:main") <= 500
    assert old.release("main", number)
    newer = old.acquire("main", "b b", 500)
    assert newer is not None
    assert newer > number
    newest = old.acquire("main", "b b", 500)  # an owner whose name has a space in it, who asks again
    assert newest is not None
    assert newest > newer
    assert not old.renew("main", "b b", newer, 500)


def test_a_lease_ends_by_itself_and_is_not_renewed_then(old: RedisLeases) -> None:
    number = old.acquire("den", "a", 1)
    while old.redis.exists("tickbench:lease:den"):
        time.sleep(0.005)
    assert number is not None
    assert not old.renew("den", "a", number, 1)
    assert (old.acquire("den", "b", 1) or 0) > number


def test_numbers_grow_though_the_counter_is_lost(old: RedisLeases) -> None:
    number = old.acquire("attic", "a", 1) or 0
    old.redis.flushall()
    time.sleep(0.002)
    assert (old.acquire("attic", "b", 1) or 0) > number


def test_a_lease_that_has_ended_is_had_back_as_long_as_nobody_else_had_it(old: RedisLeases) -> None:
    number = old.acquire("shed", "a a", 1) or 0
    while old.redis.exists("tickbench:lease:shed"):
        time.sleep(0.005)
    assert 59_000 < old.redis.pttl("tickbench:lease-last:shed") <= 60_000
    assert not old.regain("shed", "a a", number - 1, 500)
    assert not old.regain("shed", "a a", number, LONG_MS), "a Redis that is younger than that may have forgotten"
    assert old.regain("shed", "a a", number, 500)
    assert old.acquire("shed", "b", 500) is None
    assert old.renew("shed", "a a", number, 1)
    while not (newer := old.acquire("shed", "b", 1)):
        time.sleep(0.001)
    assert newer > number
    while old.redis.exists("tickbench:lease:shed"):
        time.sleep(0.005)
    assert not old.regain("shed", "a a", number, 1)
    assert old.regain("shed", "b", newer, 500)
    last = old.redis.get("tickbench:lease-last:shed")
    old.redis.set("tickbench:lease-last:shed", last[:-40] + b"0" * 40)  # as another run of it has stored it
    assert not old.regain("shed", "b", newer, 500)
    old.redis.set("tickbench:lease-last:shed", last)
    assert old.release("shed", newer)
    assert not old.regain("shed", "b", newer, 500)
