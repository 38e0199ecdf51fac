"""
What a server says of what goes on and on, such as a full disk: one line a minute, not the first one only, no flood.

Knows nothing of what is said. The time is that of the log records.
"""

import logging
from math import inf

QUIET_S = 60.0
"""For as long a thing that was said is not said again."""


class OnceAMinute:
    """Lets one through, and the next one a minute later."""

    def __init__(self) -> None:
        self._let_s = -inf

    def lets(self, at_s: float) -> bool:
        """Say whether one at this time may pass; the clock may be set back meanwhile."""
        if 0 <= at_s - self._let_s < QUIET_S:
            return False
        self._let_s = at_s
        return True


class SparingLog:
    """Says the same thing, whatever its details, once a minute."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._things: dict[str, OnceAMinute] = {}  # by text; of few

    def error(self, text: str, *arguments: object, exc_info: BaseException | None = None) -> None:
        """Log ``text % arguments``, unless the same text was logged within a minute."""
        info = (type(exc_info), exc_info, exc_info.__traceback__) if exc_info else None
        name, level = self._logger.name, logging.ERROR
        record = self._logger.makeRecord(name, level, __file__, 0, text, arguments, info)
        if self._things.setdefault(text, OnceAMinute()).lets(record.created):
            self._logger.handle(record)
