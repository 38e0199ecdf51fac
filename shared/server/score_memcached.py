"""
Keeps top scores in memcached: a cache, which forgets them when it is started anew or has no room left.

A room has one value under ``tickbench:scores:ROOM``, its rows in JSON, best first. It is replaced only where nobody has
replaced it since it was read (gets, cas): servers that write at once lose nothing.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec
from pymemcache.client.base import PooledClient
from pymemcache.exceptions import MemcacheUnexpectedCloseError

from shared.rooms.scores import ScoreRows, merged
from shared.server.score_remote import LIMIT_S, Batch, DamagedError
from shared.server.score_rows import sound_rows
from shared.server.score_url import ScoreUrl

MAX_TRIES = 20
"""How often a room is read and written again because another server was quicker, before it waits its turn."""

T = TypeVar("T")


class MemcachedKeeper:
    """Speaks to one memcached; its pool of connections may be used by several threads or greenlets at once."""

    def __init__(self, place: ScoreUrl) -> None:
        self.place = str(place)
        self._client = PooledClient(
            (place.host, place.port),
            connect_timeout=LIMIT_S,
            timeout=LIMIT_S,
            no_delay=True,
            key_prefix=b"tickbench:scores:",
        )

    def read(self, room: str) -> ScoreRows:
        """Return a room's rows; raises as :class:`ScoreKeeper` says."""
        value, _ = _once_more(partial(self._client.gets, room))
        if value is None:
            return []
        try:
            return _rows(value)
        except msgspec.DecodeError as error:
            raise DamagedError(str(error)) from error

    def merge(self, batch: Batch) -> list[str]:
        """Add rows to those that are kept; returns and raises as :class:`ScoreKeeper` says."""
        if not batch:
            _once_more(self._client.version)
        return [_once_more(partial(self._merge, room, rows)) for room, rows in batch]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    # Private methods

    def _merge(self, room: str, rows: ScoreRows) -> str:
        for _ in range(MAX_TRIES):
            value, version = self._client.gets(room)
            if value is None:
                if self._client.add(room, msgspec.json.encode(rows), noreply=False):
                    return ""
                continue
            try:
                stored = _rows(value)
            except msgspec.DecodeError:
                stored = []  # of no use to anybody
            text = msgspec.json.encode(merged(stored, rows))
            if text == value or self._client.cas(room, text, version, noreply=False):
                return ""
        return f"other servers were quicker, {MAX_TRIES} times"


def _rows(value: bytes) -> ScoreRows:
    return sound_rows((name.encode(), score) for name, score in msgspec.json.decode(value, type=list[tuple[str, int]]))


def _once_more(act: Callable[[], T]) -> T:
    """Do something again at once where the connection was lost: memcached may have been started anew since."""
    try:
        return act()
    except (MemcacheUnexpectedCloseError, ConnectionError):
        return act()
