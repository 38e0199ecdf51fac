"""Checks of who gets which messages, in two rooms and in one; and of the form that all messages must have."""

from tickbench.conformance.check import Check
from tickbench.conformance.peer import Message
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.shapes import ARGUMENTS
from tickbench.conformance.verdict import FaultError, quote

LISTEN_TICKS = 3
LOUD = "loud"
"""The name of a player whom another room must not hear."""
PERSONAL = {"handshake", "error", "pong"}
"""Commands that are for one connection alone."""


def check_rooms(subject: ServerUnderTest) -> str | None:
    """Play in one room and listen in another."""
    loud, quiet = subject.enter(name=LOUD), subject.enter()
    quiet.next_tick()
    loud.send(["join"])
    loud.until(lambda message: message.named("p_joined") or message.is_error, "an answer to join")
    loud.send(["ping", 1])
    loud.send(["leave"])
    heard = [*quiet.messages(LISTEN_TICKS * subject.period_s), *quiet.settle()[:-1]]
    _blame(heard, {"error", "handshake"}, "another room", "two rooms do not hear each other")
    for born in (born for message in heard for born in message.named("p_joined") if LOUD in born):
        # Its own bots may be born there at any time.
        raise FaultError(f"one in another room was told {quote(born)}", "two rooms do not hear each other")
    return None


def check_personal(subject: ServerUnderTest) -> str | None:
    """Ping, err and enter while another listens in the same room."""
    room = subject.fresh_room()
    quiet, loud = subject.enter(room), subject.enter(room)
    loud.send(["leave"])
    loud.send(["ping", 1])
    loud.until(lambda message: message.has("pong"), "the answer to a ping")
    subject.enter(room)
    heard = [*quiet.messages(LISTEN_TICKS * subject.period_s), *quiet.settle()[:-1]]
    _blame(heard, PERSONAL, "the same room", "errors, pongs and welcomes are for one connection alone")
    return None


def _blame(heard: list[Message], names: set[str], where: str, right: str) -> None:
    for message in heard:
        for command in message.commands:
            if command[0] in names:
                raise FaultError(f"one in {where} was told {quote(command)}", right)


# What all messages must be


def check_commands(subject: ServerUnderTest) -> str | None:
    """Look whether every message so far was an array of commands."""
    _provoke(subject)
    if subject.ledger.not_commands:
        raise FaultError(subject.ledger.not_commands, "an array of commands: [[command, ...], ...]")
    return None


def check_compact(subject: ServerUnderTest) -> str | None:
    """Look whether there was white space in any message so far."""
    _provoke(subject)
    if subject.ledger.spaced:
        raise FaultError(subject.ledger.spaced, "JSON without white space")
    return None


def check_arguments(subject: ServerUnderTest) -> str | None:
    """Look whether the arguments of every known command so far were as in the table."""
    _provoke(subject)
    flaws = subject.ledger.flaws
    if flaws:
        right = "; ".join(f"{name}: {ARGUMENTS[name]}" for name in flaws)
        raise FaultError("; ".join(flaws.values()), right)
    unseen = [name for name in ("handshake", "world", "tick", "pong", "error") if not subject.ledger.commands.get(name)]
    return f"never seen: {', '.join(unseen)}" if unseen else None


def check_known(subject: ServerUnderTest) -> str | None:
    """Look whether all commands so far were known."""
    _provoke(subject)
    unknown = subject.ledger.unknown
    return f"commands that clients ignore: {', '.join(unknown.values())}" if unknown else None


def check_frames(subject: ServerUnderTest) -> str | None:
    """Look whether every frame so far was a server's."""
    _provoke(subject)
    if subject.ledger.frame_flaw:
        raise FaultError(subject.ledger.frame_flaw, "a server's frames are not masked, and its messages are text")
    return None


def _provoke(subject: ServerUnderTest) -> None:
    """Make a short visit, once, so that there are messages to look at besides those that other checks provoked."""
    if "visit" in subject.samples:
        return
    peer = subject.enter()
    subject.samples["visit"] = True
    peer.send(["join"])
    peer.send(["leave"])
    peer.settle()
    for _ in range(5):
        peer.next_tick()


CHECKS = (
    Check("rooms", "Two rooms do not hear each other.", check_rooms),
    Check("personal", "error, pong and a newcomer's welcome are for one connection alone.", check_personal),
)
LATE_CHECKS = (
    Check("commands", "What comes is an array of commands, each an array that begins with its name.", check_commands),
    Check("compact-json", "JSON comes without white space.", check_compact),
    Check("arguments", "Commands have the arguments of the protocol's table.", check_arguments),
    Check("known-commands", "A client ignores commands that it does not know.", check_known),
    Check("server-frames", "A server's frames are not masked, and its messages are text.", check_frames),
)
