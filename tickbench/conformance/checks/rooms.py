"""Checks of who gets which messages, in two rooms and in one."""

from tickbench.conformance.check import check
from tickbench.conformance.peer import Peer, PeerMessage
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.verdict import FaultError, quote

LISTEN_TICKS = 3
LOUD = "loud"
"""The name of a player whom another room must not hear."""
PERSONAL = {"handshake", "error", "pong"}
"""Commands that are for one connection alone."""


@check("Two rooms do not hear each other.", grade="measurement")
def rooms(server: ServerUnderTest) -> None:
    loud, quiet = server.enter(name=LOUD), server.enter()
    quiet.next_tick()
    loud.send(["join"])
    loud.until(lambda message: message.named("p_joined") or message.is_error, "an answer to join")
    loud.send(["ping", 1])
    loud.send(["leave"])
    heard = _listen(server, quiet)
    _need_none(heard, {"error", "handshake"}, "another room")
    for born in (born for message in heard for born in message.named("p_joined") if LOUD in born):
        # Its own bots may be born there at any time.
        raise FaultError(f"one in another room was told {quote(born)}")


@check(
    "error, pong and a newcomer's welcome are for one connection alone.",
    "errors, pongs and welcomes are for one connection alone",
    grade="interoperability",
)
def personal(server: ServerUnderTest) -> None:
    room = server.fresh_room()
    quiet, loud = server.enter(room), server.enter(room)
    loud.send(["leave"])
    loud.send(["ping", 1])
    loud.next_with("pong", "the answer to a ping")
    server.enter(room)
    _need_none(_listen(server, quiet), PERSONAL, "the same room")


def _listen(server: ServerUnderTest, peer: Peer) -> list[PeerMessage]:
    """Return what comes in some ticks, up to the answer to a ping."""
    return [*peer.messages(LISTEN_TICKS * server.period_s), *peer.settle()[:-1]]


def _need_none(heard: list[PeerMessage], names: set[str], where: str) -> None:
    for command in (command for message in heard for command in message.commands):
        if command[0] in names:
            raise FaultError(f"one in {where} was told {quote(command)}")
