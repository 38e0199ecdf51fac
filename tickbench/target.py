"""Parse the URL of a server, for every verb that takes one: the rules are the load test's."""

from shared.wire.target import Target, parse_target
from tickbench.errors import InputError


def target_of(url: str) -> Target:
    """Return the endpoint that ``url`` names; raise :class:`InputError` if it is none, or one for the load test."""
    try:
        target = parse_target(url)
    except ValueError as error:
        raise InputError(str(error)) from error
    if target.secure or target.headers:
        raise InputError(f"{target.url}: TLS, and a user with a password, are for 'tickbench load' alone")
    return target
