"""A selector of the standard library's, by epoll_wait(2), that returns a bounded number of events at once."""

import select
import selectors
from typing import Any


class FewAtOnce(selectors.EpollSelector):
    """Returns at most ``most`` events at once, where its base returns all; the kernel goes on there the next time."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._selector: Any = _Epoll(self._selector, most)


class _Epoll:
    """An epoll object as the selector uses it; its class can't be derived from."""

    def __init__(self, epoll: select.epoll, most: int) -> None:
        self._poll, self._most = epoll.poll, most
        self.register, self.modify, self.unregister = epoll.register, epoll.modify, epoll.unregister
        self.fileno, self.close = epoll.fileno, epoll.close

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """Return what is ready."""
        return self._poll(timeout, min(most, self._most))
