"""Whether there is a server at all, before a load is sent to it."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from loadtests.client import reason_of
from loadtests.frames import Handshake, PeerError

if TYPE_CHECKING:
    from loadtests.target import Target

TIMEOUT_S = 5.0


class NoServerError(Exception):
    """There is nothing to load; its text is one line for a person."""


def resolve(target: Target) -> tuple[int, tuple[Any, ...]]:
    """
    Return family and socket address of the target.

    Raises:
        NoServerError: no such host.

    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the latter for a name that is none
        raise NoServerError(f"no such host: {target.host}") from error
    family, _, _, _, address = found[0]
    return family, address


def knock(target: Target) -> None:
    """
    Do one WebSocket handshake with the target, and leave.

    Raises:
        NoServerError: nobody listens, or what answers is no WebSocket server. (A 503 is an answer.)

    """
    family, address = resolve(target)
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            connection.connect(address)
            _shake_hands(connection, Handshake(target, os.urandom(16)))
        except TimeoutError as error:
            raise NoServerError(f"{target.authority} does not answer within {TIMEOUT_S:g} s") from error
        except OSError as error:
            raise NoServerError(f"no server at {target.authority}: {reason_of(error)}") from error
        except PeerError as error:
            if str(error) != "HTTP status 503":
                raise NoServerError(f"no WebSocket at {target.url}: {error}") from error


def _shake_hands(connection: socket.socket, handshake: Handshake) -> None:
    connection.sendall(handshake.request())
    received = b""
    while not handshake.response_end(received):
        data = connection.recv(4096)
        if not data:
            raise PeerError("the connection was closed without an answer to the handshake")
        received += data
