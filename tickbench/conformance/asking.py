"""Send plain HTTP requests, right or wrong ones, to the server under test."""

import base64
import http.client
import os
import ssl
from collections.abc import Mapping
from typing import NamedTuple

from shared.wire.target import Target
from tickbench.conformance.verdict import quote
from tickbench.errors import InputError
from tickbench.target import connect, why_unreachable

REACH_LIMIT_S = 5.0
MAX_BODY_BYTES = 16 * 1024 * 1024

Headers = Mapping[str, str | None]
"""By name; None leaves out a header that would be sent otherwise."""


class HttpAnswer(NamedTuple):
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"HTTP {self.status} {quote(self.body.decode(errors='replace').strip())}".rstrip()


def check_reachable(target: Target) -> None:
    """Raise :class:`InputError` if nobody accepts connections there, or TLS can't be agreed on."""
    try:
        connect(target, REACH_LIMIT_S).close()
    except ssl.SSLError as error:
        raise InputError(f"{target.url}: {why_unreachable(error)}") from error
    except OSError as error:
        raise InputError(f"nobody listens on {target.place} ({why_unreachable(error)}); start it first") from error


def ask(server: Target, method: str, path: str, headers: Headers, limit_s: float) -> HttpAnswer:
    """
    Make a request with these ``headers`` and a Host; return the answer.

    OSError if the server can't be reached or does not answer in time, HTTPException if it does not answer in HTTP.
    """
    connection = http.client.HTTPConnection(server.host, server.port, timeout=limit_s)
    try:
        connection.sock = connect(server, limit_s)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": server.authority, **server.fields, **headers}.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        given = {name.lower(): value for name, value in response.getheaders()}
        return HttpAnswer(response.status, given, response.read(MAX_BODY_BYTES))
    finally:
        connection.close()


def upgrade_headers() -> dict[str, str | None]:
    """Return the headers of an upgrade request."""
    return {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
