"""
Says something to everybody in a room, in whatever process: ``python -m backends.announce URL ROOM TEXT``.

It speaks through the relay that the processes have in common, and waits until that has handed the words on.
"""

import argparse
import asyncio
import sys

from shared.edges.posts import group_of
from shared.relay.bus import ANSWER_S, Message, RelayError, channel_of
from shared.relay.url import RelayUrl, parse_relay_url
from shared.system.packages import needed_by
from shared.wire.errors import ClientError
from shared.wire.handshake import check_room
from shared.wire.names import clean_announcement

from .asyncio_server.relay.bus import Bus


def relay_url(text: str) -> RelayUrl:
    """Return the URL of a relay that processes have in common."""
    try:
        url = parse_relay_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if url.kind == "memory":
        raise argparse.ArgumentTypeError("memory:// is of one process alone; nobody is reached through it")
    return url


def room(text: str) -> str:
    """Return the name of a room."""
    if refusal := check_room(text):
        raise argparse.ArgumentTypeError(refusal.text)
    return text


def announcement(text: str) -> str:
    """Return what is to be said, as it is shown."""
    try:
        return clean_announcement(text)
    except ClientError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


async def announce(url: RelayUrl, name: str, text: str) -> None:
    """Say it; RelayError if the relay is not there, or does not hand it on."""
    bus, said = Bus(url), text.encode()
    try:
        await bus.open()
        heard = await bus.subscribe(channel_of(group_of(name)))
        bus.publish(heard.mailbox.channel, said)
        async with asyncio.timeout(ANSWER_S):
            while True:
                event = await heard.next(ANSWER_S)
                if event == Message(said, bus.core.publisher):
                    return
                if not bus.core.is_up:
                    raise RelayError(bus.core.why)
    except TimeoutError:
        raise RelayError("it does not answer") from None
    finally:
        await bus.close()


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> None:  # type: ignore[override] # it does not return, as the other does not
        """Exit with status 2."""
        print(f"error: {message}", file=sys.stderr)  # noqa: T201 # who typed it reads it
        raise SystemExit(2)


def main() -> int:
    """Return the exit status: 2 for wrong usage, 1 where the relay is not there."""
    parser = Parser(prog="tickbench announce", description="Say something to everybody in a room.")
    parser.add_argument("url", type=relay_url, metavar="URL", help="of the relay, as the servers' --relay has it")
    parser.add_argument("room", type=room, metavar="ROOM")
    parser.add_argument("text", type=announcement, metavar="TEXT", help="1 to 200 characters")
    given = parser.parse_args()
    try:
        with needed_by(f"a relay of the kind {given.url.kind}", "relay"):
            asyncio.run(announce(given.url, given.room, given.text))
    except RelayError as error:
        print(f"error: the relay {given.url.shown} is not there: {error}", file=sys.stderr)  # noqa: T201 # as above
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
