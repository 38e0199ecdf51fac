"""What a server does with the Redis of its layer, with one that a test ends."""

import pytest

from shared.server import layer_redis
from shared.server.layer_redis import LayerRedis


class PlantedRedis:
    """Starts unless there is an error, and has ended when a test says so."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.status: int | None = None
        self.error: OSError | None = None
        self.ended = self.closed = False
        self.path = "/there"

    def start(self) -> None:
        if self.error:
            raise self.error
        self.pid, self.ended = (self.pid or 6) + 1, False

    def has_ended(self) -> bool:
        return self.ended and self.pid is not None

    def kill(self) -> None:
        self.ended = True
        if self.error:
            self.pid = None

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> PlantedRedis:
    planted = PlantedRedis()
    monkeypatch.setattr(layer_redis, "RedisServer", lambda: planted)
    return planted


@pytest.fixture
def losses() -> list[int]:
    return []


@pytest.fixture
def redis(planted: PlantedRedis, losses: list[int]) -> LayerRedis:
    redis = LayerRedis("redis")
    assert redis.pids() == []
    redis.open()
    redis.on_loss = lambda: losses.append(redis.starts)
    assert (redis.url, redis.pids()) == ("unix:///there", [planted.pid])
    return redis


def test_where_it_ends_all_are_told_and_there_is_another(
    redis: LayerRedis, planted: PlantedRedis, losses: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    redis.look()
    assert losses == []
    planted.ended, planted.status = True, -9
    redis.look()
    assert "redis-server 7 was ended by signal 9: all rooms end" in caplog.text
    assert (losses, redis.starts, redis.pids()) == ([1], 2, [8])
    redis.lost("failed (planted)")
    assert "redis-server 8 failed (planted): all rooms end" in caplog.text
    assert (losses, redis.starts) == ([1, 2], 3)


def test_where_there_is_no_other_one_rooms_end_each_time_and_nothing_is_tried(
    redis: LayerRedis, planted: PlantedRedis, losses: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    planted.error, planted.ended = OSError("planted"), True
    redis.look()
    redis.look()
    assert "can't be started again: planted" in caplog.text
    assert (losses, redis.pids()) == ([1], [])
    planted.error = None
    redis.lost()
    assert (losses, redis.starts, len(caplog.records)) == ([1, 1], 1, 2)


def test_one_that_can_not_be_started_is_one_line_and_status_2(
    planted: PlantedRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    planted.error = OSError("it ended: no room")
    with pytest.raises(SystemExit) as exited:
        LayerRedis("redis-pubsub").open()
    assert (exited.value.code, planted.closed) == (2, True)
    assert capsys.readouterr().err == "error: --layer redis-pubsub needs a redis-server: it ended: no room\n"
