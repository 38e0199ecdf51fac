"""Who is in the field and who has the best scores, as the members of a room have been told so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from shared.game.changes import PlayerDied, PlayerJoined, PlayerScored, TopScoresListed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.rooms.game import News


class Standing:
    """What follows from the news that were given, in order."""

    def __init__(self, news: Iterable[News] = ()) -> None:
        self._players: dict[int, PlayerJoined] = {}
        self._top_scores = TopScoresListed([])
        self.note(news)

    def note(self, news: Iterable[News]) -> None:
        """Take what a step did."""
        for change in news:
            match change:
                case PlayerJoined():
                    self._players[change.player_id] = change
                case PlayerScored(player_id, score) if player_id in self._players:
                    self._players[player_id] = replace(self._players[player_id], score=score)
                case PlayerDied(player_id):
                    self._players.pop(player_id, None)
                case TopScoresListed():
                    self._top_scores = change

    def as_news(self) -> list[News]:
        """Return it as news for somebody who knows of nothing."""
        return [*self._players.values(), self._top_scores]

    def news_since(self, earlier: Standing) -> list[News]:
        """
        Return what leads from an earlier standing to this one.

        A snake that died and was born again meanwhile shows, unless it has at least the score that it had.
        """
        news: list[News] = []
        for player_id, before in earlier._players.items():
            if not _goes_on(before, self._players.get(player_id)):
                news.append(PlayerDied(player_id))
        for player_id, player in self._players.items():
            before_or_none = earlier._players.get(player_id)
            if before_or_none is None or not _goes_on(before_or_none, player):
                news.append(player)
            elif before_or_none.score != player.score:
                news.append(PlayerScored(player_id, player.score))
        if self._top_scores != earlier._top_scores:
            news.append(self._top_scores)
        return news


def _goes_on(before: PlayerJoined, after: PlayerJoined | None) -> bool:
    """Say whether that can be the same snake."""
    return (
        after is not None and (after.name, after.color) == (before.name, before.color) and after.score >= before.score
    )
