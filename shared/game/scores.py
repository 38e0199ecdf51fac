"""The list of the best scores of a room, by name."""

MAX_TOP_SCORES = 15


class TopScores:
    """At most 15 names with their best score, best first; of equal scores the older one first."""

    def __init__(self, rows: list[tuple[str, int]] | None = None) -> None:
        self.rows = list(rows or ())

    def add(self, name: str, score: int) -> bool:
        """Note a score at the end of a life; return whether that changed the list."""
        best = dict(self.rows)
        if score <= best.get(name, 0):
            return False
        best[name] = score
        before = self.rows
        # sorted() is stable, so of equal scores the one that was there first stays first.
        self.rows = sorted(best.items(), key=lambda row: -row[1])[:MAX_TOP_SCORES]
        return self.rows != before

    def recall(self, older: list[tuple[str, int]]) -> bool:
        """Put the rows of a list that was there before under those of this one; return whether that changed it."""
        top = TopScores(older)
        for name, score in self.rows:
            top.add(name, score)
        before, self.rows = self.rows, top.rows
        return self.rows != before
