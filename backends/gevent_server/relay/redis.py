"""A relay that is Redis: its pub/sub and, for leases, its scripts."""

from collections.abc import Sequence
from typing import Any

from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import RedisError
from redis.retry import Retry

from shared.relay.hub import Answer, Came, FromRelay, Ping, Pong, Publish, Subscribe, Subscribed, ToRelay, Unsubscribe
from shared.relay.scripts import redis_command

from .link import Link


class RelayLink(Link):
    """
    Two connections: one for commands, and one for what comes.

    They are the library's own, without its clients: a client connects again by itself, silently.
    """

    gone = (RedisError,)
    _commands: Any = None
    _messages: Any = None
    _prefix = ""

    def open(self) -> None:
        """Connect both."""
        retry = Retry(NoBackoff(), 0)
        pool: Any = ConnectionPool.from_url(self.url.where, protocol=2)
        # Over what the URL says: a query may ask for text, or for what is pushed between answers.
        pool.connection_kwargs.update(protocol=2, decode_responses=False, socket_timeout=None, retry=retry)
        self._prefix = f"tickbench:{pool.connection_kwargs.get('db') or 0}:"  # channels are those of all databases
        self._commands = pool.make_connection()
        self._messages = pool.make_connection()
        self._commands.connect()
        self._messages.connect()

    def send(self, items: Sequence[ToRelay]) -> list[Answer]:
        """Send these; the commands in one go, and wait for what they come to."""
        commands: list[tuple[Any, ...]] = []
        questions: list[int | None] = []
        for item in items:
            if isinstance(item, Subscribe):
                self._messages.send_command("SUBSCRIBE", self._prefix + item.channel)
            elif isinstance(item, Unsubscribe):
                self._messages.send_command("UNSUBSCRIBE", self._prefix + item.channel)
            elif isinstance(item, Ping):
                self._messages.send_command("PING")
            elif isinstance(item, Publish):
                commands.append(("PUBLISH", self._prefix + item.channel, item.data))
                questions.append(None)
            else:
                commands.append(redis_command(item))
                questions.append(item.question)
        if commands:
            self._commands.send_packed_command(self._commands.pack_commands(commands))
        values = [self._commands.read_response() for _ in commands]
        return [Answer(number, value) for number, value in zip(questions, values, strict=True) if number is not None]

    def receive(self) -> list[FromRelay]:
        """Wait for the next message."""
        match self._messages.read_response():
            case [b"message", channel, data]:
                return [Came(channel.decode().removeprefix(self._prefix), data)]
            case [b"subscribe", channel, _]:
                return [Subscribed(channel.decode().removeprefix(self._prefix))]
            case [b"pong", _] | b"PONG":
                return [Pong()]
        return []

    def close(self) -> None:
        """Close both."""
        for connection in filter(None, (self._commands, self._messages)):
            connection.disconnect()
