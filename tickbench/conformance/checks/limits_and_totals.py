"""Checks that come last: of time limits that began with the run, and of all that was seen in it."""

import socket
import time

from shared.wire.frames import CloseCode
from tickbench.conformance.check import check, raise_flaws
from tickbench.conformance.first_offenders import FirstOffenders
from tickbench.conformance.peer import Peer
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.shapes import SHAPES
from tickbench.conformance.verdict import FaultError, NotTriedError

NEW_PLAYER_LIMIT_S = 10.0
HALF_HANDSHAKE_S = 5.0
SLACK_S = 3.0
"""How long behind its limit an end is waited for."""


def send_nothing(server: ServerUnderTest) -> Peer:
    """Return a WebSocket on which nothing will be sent."""
    return server.connect()


@check("No accepted new_player for 10 s: close 1008.", "close 1008 after 10 s", send_nothing, grade="hardening")
def new_player_limit(server: ServerUnderTest) -> None:
    peer, since = server.opened(send_nothing)
    peer.patience_s = max(0.01, since + NEW_PLAYER_LIMIT_S + SLACK_S - time.monotonic())
    flaw = peer.close_flaw(f"no new_player for {NEW_PLAYER_LIMIT_S + SLACK_S:g} s", CloseCode.POLICY_VIOLATION)
    raise_flaws([flaw])


def send_half_a_request(server: ServerUnderTest) -> socket.socket:
    """Return a connection on which half a request was sent."""
    sock = server.dial()
    sock.sendall(f"GET {server.target.resource} HTTP/1.1\r\nHost: {server.target.authority}\r\n".encode())
    return sock


@check(
    "Half a handshake for 5 s: the connection is closed.", "an end after 5 s", send_half_a_request, grade="hardening"
)
def half_handshake(server: ServerUnderTest) -> None:
    sock, since = server.opened(send_half_a_request)
    limit_s = HALF_HANDSHAKE_S + SLACK_S
    sock.settimeout(max(0.01, since + limit_s - time.monotonic()))
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        raise FaultError(f"half a request was still waited for after {limit_s:g} s") from None
    except OSError:
        pass  # a reset is an end as well


@check(
    "Who is refused for lack of room gets HTTP 503 with Retry-After.", "HTTP 503 with Retry-After", grade="hardening"
)
def busy(server: ServerUnderTest) -> None:
    if server.busy is None:
        raise NotTriedError("the server had room for everybody")
    if "retry-after" not in server.busy.headers:
        raise FaultError(f"{server.busy} without Retry-After")


# What all messages must be


@check(
    "What comes is an array of commands, each an array that begins with its name.",
    "an array of commands: [[command, ...], ...]",
    grade="measurement",
)
def commands(server: ServerUnderTest) -> None:
    raise_flaws([_offenders(server).not_commands])


@check("JSON comes without white space.", "JSON without white space", grade="measurement")
def compact_json(server: ServerUnderTest) -> None:
    raise_flaws([_offenders(server).spaced])


@check("Commands have the arguments of the protocol's table.", grade="interoperability")
def arguments(server: ServerUnderTest) -> str | None:
    offenders = _offenders(server)
    if flaws := offenders.flaws:
        raise FaultError("; ".join(flaws.values()), "; ".join(f"{name}: {SHAPES[name][1]}" for name in flaws))
    unseen = [name for name in ("handshake", "world", "tick", "pong", "error") if name not in offenders.seen]
    return f"never seen: {', '.join(unseen)}" if unseen else None


@check("A client ignores commands that it does not know.", grade="interoperability")
def known_commands(server: ServerUnderTest) -> str | None:
    unknown = _offenders(server).unknown
    return f"commands that clients ignore: {', '.join(unknown.values())}" if unknown else None


@check("A server's frames are not masked, and its messages are text.", grade="measurement")
def server_frames(server: ServerUnderTest) -> None:
    raise_flaws([_offenders(server).frame_flaw])


def _offenders(server: ServerUnderTest) -> FirstOffenders:
    """Return what was wrong with all messages so far, those of a short visit among them."""
    server.once(_visit)
    return server.offenders


def _visit(server: ServerUnderTest) -> None:
    peer = server.enter()
    peer.send(["join"])
    peer.send(["leave"])
    peer.settle()
    for _ in range(5):
        peer.next_tick()


@check("Whatever a client does, the server goes on.", "no client ends the server", grade="measurement")
def alive(server: ServerUnderTest) -> None:
    if server.gone or not server.is_there():
        raise FaultError(server.gone)
