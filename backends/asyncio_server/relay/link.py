"""A connection to a relay, as the bus uses it; and what is the same of all that lead to our own hub."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import msgspec

from shared.relay.hub import Answer, FromRelay, Hello, ToRelay, check_welcome, encode, read_bodies
from shared.relay.url import RelayUrl


class Link(ABC):
    """
    One connection, from :meth:`open` to :meth:`close`; it ends with whatever goes wrong.

    One sends while another receives. What is raised is an OSError, a RelayError, or one of ``gone``.
    """

    gone: tuple[type[Exception], ...] = ()

    def __init__(self, url: RelayUrl) -> None:
        self.url = url

    @abstractmethod
    async def open(self) -> None:
        """Connect."""

    @abstractmethod
    async def send(self, items: Sequence[ToRelay]) -> list[Answer]:
        """Send these, in order; return what has been answered already."""

    @abstractmethod
    async def receive(self) -> list[FromRelay]:
        """Wait until something has come, and return it."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything; nobody sends or receives any more."""


class HubLink(Link):
    """A connection to our own hub, whatever carries its bodies."""

    gone: tuple[type[Exception], ...] = (msgspec.DecodeError,)

    async def open(self) -> None:
        """Connect, and be welcome."""
        await self.connect()
        await self.send_bodies([encode(Hello())])
        while not (bodies := await self.receive_bodies()):
            pass
        check_welcome(bodies[0])

    async def send(self, items: Sequence[ToRelay]) -> list[Answer]:
        """Send these, in order; answers are received."""
        await self.send_bodies([encode(item) for item in items])
        return []

    async def receive(self) -> list[FromRelay]:
        """Wait until something has come, and return it."""
        return read_bodies(await self.receive_bodies())

    @abstractmethod
    async def connect(self) -> None:
        """Make the connection."""

    @abstractmethod
    async def send_bodies(self, bodies: list[bytes]) -> None:
        """Send bodies, in order."""

    @abstractmethod
    async def receive_bodies(self) -> list[bytes]:
        """Wait until bodies have come, and return them."""
