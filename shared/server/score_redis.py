"""
Keeps top scores in Redis, by a script that Redis runs as one: servers that write at once lose nothing.

A room has a sorted set ``tickbench:scores:{ROOM}``, names by their best score; and as of equal scores the older one
comes first, a hash ``tickbench:scores:{ROOM}:since``, by name when that was, counted. The braces keep the two together
where keys are spread over nodes.
"""

from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import RedisError
from redis.retry import Retry

from shared.game.scores import MAX_TOP_SCORES
from shared.rooms.scores import ScoreRows
from shared.server.score_remote import LIMIT_S, Batch, DamagedError
from shared.server.score_rows import sound_rows
from shared.server.score_url import ScoreUrl

MAX_READ = 100
"""Names of a room that are looked at, if another program has written more than the game keeps."""

# ARGV: how many names are kept, then names and scores, best first. The field '' counts.
MERGE = """
local best, since = KEYS[1], KEYS[2]
for i = 2, #ARGV, 2 do
    local had = redis.call('ZSCORE', best, ARGV[i])
    if not had or tonumber(had) < tonumber(ARGV[i + 1]) then
        redis.call('ZADD', best, ARGV[i + 1], ARGV[i])
        redis.call('HSET', since, ARGV[i], redis.call('HINCRBY', since, '', 1))
    end
end
local kept = tonumber(ARGV[1])
if redis.call('ZCARD', best) > kept then
    local stored, rows = redis.call('ZREVRANGE', best, 0, -1, 'WITHSCORES'), {}
    for i = 1, #stored, 2 do
        local age = tonumber(redis.call('HGET', since, stored[i]) or 0)
        rows[#rows + 1] = {name = stored[i], score = tonumber(stored[i + 1]), age = age}
    end
    table.sort(rows, function(a, b)
        if a.score ~= b.score then return a.score > b.score end
        return a.age < b.age
    end)
    for i = kept + 1, #rows do
        redis.call('ZREM', best, rows[i].name)
        redis.call('HDEL', since, rows[i].name)
    end
end
"""


class RedisKeeper:
    """Speaks to one Redis; its pool of connections may be used by several threads or greenlets at once."""

    def __init__(self, place: ScoreUrl) -> None:
        self.place = str(place)
        self._client = Redis(
            place.host,
            place.port,
            db=place.db,
            username=place.user,
            password=place.password,
            socket_timeout=LIMIT_S,
            socket_connect_timeout=LIMIT_S,
            # Once more at once, over a new connection: Redis may have been started anew since the last time. That a
            # write is done twice changes nothing.
            retry=Retry(NoBackoff(), 1, (LostError,)),
            protocol=2,
        )

    def read(self, room: str) -> ScoreRows:
        """Return a room's rows; raises as :class:`ScoreKeeper` says."""
        best, since = _keys(room)
        pipeline = self._client.pipeline()
        pipeline.zrevrange(best, 0, MAX_READ - 1, withscores=True)
        pipeline.hgetall(since)
        stored, ages = pipeline.execute(raise_on_error=False)
        for answer in (stored, ages):
            if isinstance(answer, RedisError):
                raise DamagedError(str(answer))
        rows = sorted(stored, key=lambda row: (-row[1], _age(ages.get(row[0]))))
        return sound_rows((name, int(score) if score.is_integer() else None) for name, score in rows)

    def merge(self, batch: Batch) -> list[str]:
        """Add rows to those that are kept; returns and raises as :class:`ScoreKeeper` says."""
        if not batch:
            self._client.ping()
            return []
        pipeline = self._client.pipeline(transaction=False)
        for room, rows in batch:
            words = [word for name, score in rows for word in (name, score)]
            pipeline.eval(MERGE, 2, *_keys(room), MAX_TOP_SCORES, *words)
        answers = pipeline.execute(raise_on_error=False)
        return [str(answer) if isinstance(answer, Exception) else "" for answer in answers]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _keys(room: str) -> tuple[str, str]:
    key = f"tickbench:scores:{{{room}}}"
    return key, f"{key}:since"


def _age(text: Any) -> int:
    return int(text) if text is not None and text.isdigit() else 0
