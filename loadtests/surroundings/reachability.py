"""Checks before a load that a WebSocket server answers at its target, by one handshake."""

import os
import socket
import time

from loadtests.receive.connection import Address, reason_of
from loadtests.receive.frames import ClientHandshake, PeerError
from shared.wire.target import Target

TIMEOUT_S = 5.0
"""For the whole handshake, even if the answer comes in pieces."""
MAX_ADDRESSES = 4
ECHO_PATH = "/echo"


class NoServerError(Exception):
    """There is no server to load; the text is one line for a person."""


def check_server(target: Target) -> Address:
    """
    Do one WebSocket handshake with the target, and leave; return the first of its addresses where somebody listens.

    Raises:
        NoServerError: no such host, nobody listens, or what answers is no WebSocket server. (A 503 is an answer.)

    """
    why = ""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: the name is not valid
        raise NoServerError(f"no such host: {target.host}") from error
    for family, _, _, _, address in found[:MAX_ADDRESSES]:
        try:
            with socket.socket(family, socket.SOCK_STREAM) as connection:
                connection.settimeout(TIMEOUT_S)
                connection.connect(address)
                _shake_hands(connection, ClientHandshake(target, os.urandom(16)))
        except TimeoutError:
            why = f"{target.place} does not answer within {TIMEOUT_S:g} s"
        except OSError as error:  # this host may have no IPv6
            why = f"no server at {target.place}: {reason_of(error)}"
        except PeerError as error:
            if str(error) != "HTTP status 503":
                raise NoServerError(f"no WebSocket at {target.url}: {error}{_hint(target, error)}") from error
            return family, address
        else:
            return family, address
    raise NoServerError(why)


def _hint(target: Target, error: PeerError) -> str:
    needs_echo = target.path == ECHO_PATH and str(error) == "HTTP status 404"
    return " (the scenario echo needs a server that was started with --echo)" if needs_echo else ""


def _shake_hands(connection: socket.socket, handshake: ClientHandshake) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    connection.sendall(handshake.request())
    received = b""
    while not handshake.response_end(received):
        if (left_s := deadline_s - time.monotonic()) <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        data = connection.recv(4096)
        if not data:
            raise PeerError("the connection was closed without an answer to the handshake")
        received += data
