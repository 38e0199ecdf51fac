"""Parse the URL of a server, for every verb that takes one, and connect to it: the rules are the load test's."""

import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import click

from shared.wire.target import Header, Target, parse_header, parse_target, without_login
from shared.wire.tls import client_context, error_of, server_name
from tickbench.errors import InputError

__all__ = ["Access", "access_options", "connect", "target_of", "why_unreachable", "without_login", "without_secrets"]


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

    def flags(self, url: str) -> list[str]:
        """Return what the load test has to be told beside the URL."""
        headers = [word for name, value in self.target(url).headers for word in ("--header", f"{name}: {value}")]
        return headers if self.verifies else [*headers, "--insecure"]


def access_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--header`` and ``--insecure`` to a verb, as the load test has them."""
    header = click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="HEADER",
        help="A header of every request to a server that runs already, as 'Name: value'. Can be repeated.",
    )
    insecure = click.option("--insecure", is_flag=True, help="Take any certificate of a wss:// server, trusted or not.")
    return header(insecure(command))


def target_of(url: str) -> Target:
    """Return the endpoint that ``url`` names; raise :class:`InputError` if it is none."""
    return Access().target(url)


def connect(target: Target, limit_s: float) -> socket.socket:
    """
    Return a connection to a target on which nothing was said yet, with TLS where that is spoken.

    Every wait of it takes at most ``limit_s``.

    Raises:
        OSError: nobody can be reached; an :class:`ssl.SSLError` if TLS can't be agreed on.

    """
    connection = socket.create_connection((target.host, target.port), limit_s)
    if not target.secure:
        return connection
    try:
        return client_context(verifies=target.verifies).wrap_socket(
            connection, server_hostname=server_name(target.host)
        )
    except OSError:
        connection.close()
        raise


def without_secrets(command: Sequence[str]) -> list[str]:
    """Return a command line without the values of headers, as it may be shown, and kept."""
    names = ["", *command]
    return [
        f"{word.partition(':')[0]}: (not shown)" if before == "--header" else word
        for before, word in zip(names, command, strict=False)
    ]


def why_unreachable(error: OSError) -> str:
    """Return in words why :func:`connect` failed, and what would be right where a certificate is not trusted."""
    if isinstance(error, ssl.SSLError):
        words = str(error_of(error))
        untrusted = isinstance(error, ssl.SSLCertVerificationError)
        return f"{words}; right would be one that is trusted here, or --insecure" if untrusted else words
    return error.strerror or str(error)
