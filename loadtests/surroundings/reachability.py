"""Checks before a load that a WebSocket server answers at its target, by one handshake."""

import os
import socket

from loadtests.receive.frames import ClientHandshake, PeerError
from loadtests.receive.transport import Address, reason_of
from loadtests.surroundings.line import Line, line_to
from shared.wire.target import Target
from shared.wire.tls import CertificateError, TlsError

TIMEOUT_S = 5.0
"""For the whole handshake, even if the answer comes in pieces."""
MAX_ADDRESSES = 4
ECHO_PATH = "/echo"


RIGHT_CERTIFICATE = "right would be one that is trusted here (SSL_CERT_FILE names more), or --insecure"


class NoServerError(Exception):
    """There is no server to load; the text is one line for a person."""


class UntrustedError(NoServerError):
    """There is one, whose certificate is not trusted."""


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
            with line_to(target, (family, address), TIMEOUT_S) as line:
                _shake_hands(line, ClientHandshake(target, os.urandom(16)))
        except TimeoutError:
            why = f"{target.place} does not answer within {TIMEOUT_S:g} s"
        except OSError as error:  # this host may have no IPv6
            why = f"no server at {target.place}: {reason_of(error)}"
        except CertificateError as error:
            raise UntrustedError(f"{target.url}: {error}; {RIGHT_CERTIFICATE}") from error
        except TlsError as error:
            raise NoServerError(f"{target.url}: {error}; a server without TLS has a URL that begins with ws") from error
        except PeerError as error:
            if str(error) != "HTTP status 503":
                raise NoServerError(f"no WebSocket at {target.url}: {error}{_hint(target, error)}") from error
            return family, address
        else:
            return family, address
    raise NoServerError(why)


def _hint(target: Target, error: PeerError) -> str:
    needs_echo = target.path.endswith(ECHO_PATH) and str(error) == "HTTP status 404"
    return " (the scenario echo needs a server that was started with --echo)" if needs_echo else ""


def _shake_hands(line: Line, handshake: ClientHandshake) -> None:
    line.send(handshake.request())
    received, piece = b"", bytearray(4096)
    while not handshake.response_end(received):
        size = line.read_into(piece)
        if not size:
            raise PeerError("the connection was closed without an answer to the handshake")
        received += piece[:size]
