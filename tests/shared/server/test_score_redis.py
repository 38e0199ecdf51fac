"""What is read of a Redis that another program wrote to; what two servers write see test_score_remote.py."""

from pathlib import Path

from redis import Redis

from shared.game.scores import MAX_TOP_SCORES
from shared.server.score_redis import MAX_READ, RedisKeeper
from shared.server.score_url import ScoreUrl, parse_score_place
from tests.support.stores import run_store


def test_no_more_is_looked_at_than_is_bounded_and_no_score_that_is_no_integer(tmp_path: Path) -> None:
    with run_store("redis", tmp_path) as store:
        place = parse_score_place(store.url)
        assert isinstance(place, ScoreUrl)
        keeper, client = RedisKeeper(place), Redis(place.host, place.port)
        client.zadd("tickbench:scores:{main}", {f"name{number}": number for number in range(1, 2 * MAX_READ + 1)})
        rows = [(f"name{number}", number) for number in range(2 * MAX_READ, 0, -1)]
        assert keeper.read("main") == rows[:MAX_TOP_SCORES]
        halves = {f"half{number}": 2 * MAX_READ + number + 0.5 for number in range(MAX_READ - 3)}
        client.zadd("tickbench:scores:{main}", halves)
        assert keeper.read("main") == rows[:3]
        keeper.close()
        client.close()
