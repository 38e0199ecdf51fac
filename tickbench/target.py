"""Parse the URL of a server, for every verb that takes one: the rules are the load test's."""

from shared.wire.target import Target, parse_target
from tickbench.errors import InputError


def target_of(url: str) -> Target:
    """Return the endpoint that ``url`` names; raise :class:`InputError` if it is none."""
    try:
        return parse_target(url)
    except ValueError as error:
        raise InputError(str(error)) from error
