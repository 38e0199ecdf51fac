"""What memcached's own way of replacing a value comes to; with a real one see test_score_remote.py."""

from pathlib import Path

import pytest

from shared.server.score_memcached import MAX_TRIES, MemcachedKeeper
from shared.server.score_remote import DamagedError
from shared.server.score_url import ScoreUrl, parse_score_place


class Busy:
    """A memcached in which another server is always quicker."""

    def __init__(self) -> None:
        self.tries = 0

    def gets(self, room: str) -> tuple[bytes, bytes]:
        self.tries += 1
        return (b'[["eve",1]]' if room == "main" else b"a song"), b"1"

    def cas(self, *_: object, **__: object) -> bool:
        return False


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> MemcachedKeeper:
    place = parse_score_place("memcached://127.0.0.1:1")
    assert isinstance(place, ScoreUrl)
    assert not isinstance(place, Path)
    keeper = MemcachedKeeper(place)
    monkeypatch.setattr(keeper, "_client", Busy())
    return keeper


def test_where_others_are_always_quicker_it_gives_up_for_now(keeper: MemcachedKeeper) -> None:
    assert keeper.merge([("main", [("ann", 2)])]) == [f"other servers were quicker, {MAX_TRIES} times"]
    assert keeper._client.tries == MAX_TRIES


def test_what_changes_nothing_is_not_written(keeper: MemcachedKeeper) -> None:
    assert keeper.merge([("main", [("eve", 1)])]) == [""]


def test_rows_that_are_none_are_damaged(keeper: MemcachedKeeper) -> None:
    with pytest.raises(DamagedError):
        keeper.read("other")
