"""Opens the store that ``--scores`` asks for."""

from pathlib import Path

from shared.rooms.scores import MemoryScores, ScoreStore
from shared.server.score_file import FileScores
from shared.server.score_remote import RemoteScores, ScoreKeeper
from shared.server.score_url import ScoreUrl
from shared.system.packages import needed_by


def open_scores(place: ScoreUrl | Path | None, max_rooms: int) -> ScoreStore:
    """
    Return the store; a server that keeps scores need not be there yet.

    Raises:
        ValueError: the file can't be used.

    """
    if isinstance(place, ScoreUrl):
        return RemoteScores(_keeper(place), max_rooms)
    return FileScores(place) if place else MemoryScores(max_rooms)


def _keeper(place: ScoreUrl) -> ScoreKeeper:
    with needed_by(f"--scores {place.kind}://", "scores"):
        if place.kind == "redis":
            from shared.server.score_redis import RedisKeeper  # noqa: PLC0415 # only who keeps scores there needs it

            return RedisKeeper(place)
        from shared.server.score_memcached import MemcachedKeeper  # noqa: PLC0415 # as above

        return MemcachedKeeper(place)
