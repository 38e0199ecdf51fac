"""Parse the URL of a server, for every verb that takes one, and connect to it: the rules are the load test's."""

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import click

from shared.wire.target import Header, Target, parse_header, parse_target, without_login
from shared.wire.tls import client_context, error_of, server_name
from tickbench.errors import InputError

__all__ = ["Access", "access_options", "connect", "hung_up_after", "target_of", "why_unreachable", "without_login"]


HEADER_VARIABLE = "TICKBENCH_LOAD_HEADER"
"""Has a header a line."""
INSECURE_VARIABLE = "TICKBENCH_LOAD_INSECURE"


class HeaderType(click.ParamType[str]):
    """A header; in the environment they stand a line each, as their values may have white space."""

    name = "header"

    def split_envvar_value(self, rv: str) -> list[str]:
        """Return the lines."""
        return rv.split("\n")


@dataclass(frozen=True, slots=True)
class Access:
    """How servers are reached that run already: what may be secret in it stands in no result, and is shown nowhere."""

    headers: tuple[Header, ...] = field(default=(), repr=False)
    """Of every request."""
    verifies: bool = True
    """Whether a certificate has to be one that is trusted."""
    logins: dict[str, tuple[Header, ...]] = field(default_factory=dict, repr=False)
    """What URLs said of who we are, by the URLs without it."""

    @classmethod
    def of(cls, headers: Sequence[str], *, insecure: bool) -> "Access":
        """Return what ``--header`` and ``--insecure`` say; raise :class:`InputError` for a header that is none."""
        try:
            return cls(tuple(map(parse_header, headers)), not insecure)
        except ValueError as error:
            raise InputError(f"--header {error}") from error

    def target(self, url: str) -> Target:
        """Return the endpoint that ``url`` names, reached so; raise :class:`InputError` if it is none."""
        try:
            target = parse_target(url).with_headers((*self.logins.get(url, ()), *self.headers))
        except ValueError as error:
            raise InputError(str(error)) from error
        return replace(target, verifies=self.verifies)

    def take_login(self, url: str) -> str:
        """Keep what a URL says of who we are; return the URL without it."""
        shown = without_login(url)
        if shown != url:
            self.logins[shown] = target_of(url).headers
        return shown

    def variables(self, url: str) -> dict[str, str]:
        """Return what the load test has to be told beside the URL: in variables, as anybody may see a command line."""
        headers = "\n".join(f"{name}: {value}" for name, value in self.target(url).headers)
        return ({HEADER_VARIABLE: headers} if headers else {}) | ({} if self.verifies else {INSECURE_VARIABLE: "true"})


def access_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--header`` and ``--insecure`` to a verb, as the load test has them."""
    header = click.option(
        "--header",
        "headers",
        type=HeaderType(),
        multiple=True,
        envvar=HEADER_VARIABLE,
        show_envvar=True,
        help="A header of every request to a server that runs already, as 'Name: value'. Can be repeated.",
    )
    insecure = click.option(
        "--insecure",
        is_flag=True,
        envvar=INSECURE_VARIABLE,
        show_envvar=True,
        help="Take any certificate of a wss:// server, trusted or not.",
    )
    return header(insecure(command))


def target_of(url: str) -> Target:
    """Return the endpoint that ``url`` names; raise :class:`InputError` if it is none."""
    return Access().target(url)


def connect(target: Target, limit_s: float) -> socket.socket:
    """
    Return a connection to a target on which nothing was said yet, with TLS where that is spoken.

    It takes at most twice ``limit_s``, and each later wait of the connection ``limit_s``.

    Raises:
        OSError: nobody can be reached; an :class:`ssl.SSLError` if TLS can't be agreed on.

    """
    connection = socket.create_connection((target.host, target.port), limit_s)
    if not target.secure:
        return connection
    context = client_context(verifies=target.verifies)
    try:
        with hung_up_after(connection, limit_s):
            return context.wrap_socket(connection, server_hostname=server_name(target.host))
    except OSError:
        connection.close()
        raise


@contextmanager
def hung_up_after(connection: socket.socket, limit_s: float) -> Iterator[None]:
    """Hang up ``limit_s`` after the begin of the ``with`` block, if it is not over: bytes may drip in for ever."""

    def hang_up() -> None:
        with suppress(OSError):
            raw.shutdown(socket.SHUT_RDWR)

    raw = socket.socket(fileno=os.dup(connection.fileno()))  # wrapping it takes the descriptor away
    timer = threading.Timer(limit_s, hang_up)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        raw.close()


def why_unreachable(error: OSError) -> str:
    """Return in words why :func:`connect` failed, and what would be right where a certificate is not trusted."""
    if isinstance(error, ssl.SSLError):
        words = str(error_of(error))
        untrusted = isinstance(error, ssl.SSLCertVerificationError)
        return f"{words}; right would be one that is trusted here, or --insecure" if untrusted else words
    return error.strerror or str(error)
