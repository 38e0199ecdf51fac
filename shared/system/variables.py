"""
Adds to an error about a flag the environment variable that set it.

Else a user would look in vain for that value on the command line.
"""

import re

import click
from click.core import ParameterSource

SERVICE_PORT = re.compile(r"(tcp|udp|sctp)://\S+")
"""
What Kubernetes sets ``<NAME>_PORT`` to in containers beside a service of that name (its documentation, "Environment
variables" of services): nobody has chosen that as a port.
"""


def with_variables(message: str, context: click.Context | None) -> str:
    """Return a message with the variables whose flags or values it mentions."""
    if context is None:
        return message
    named = [
        f"{variable}={text}"
        for parameter in context.command.params
        if (found := _variable_of(parameter, context)) is not None
        for variable, text in [found]
        if _speaks_of(message, parameter, text)
    ]
    return f"{message} (set by the variable {', '.join(named)})" if named else message


def _variable_of(parameter: click.Parameter, context: click.Context) -> tuple[str, str] | None:
    """Return the variable that set a parameter, and its text; None if the value was typed or is the default."""
    name = parameter.name or ""
    if context.get_parameter_source(name) is not ParameterSource.ENVIRONMENT:
        return None
    text = parameter.resolve_envvar_value(context)
    for variable in variables_of(parameter, context.auto_envvar_prefix):
        if text is not None:
            return variable, text
    return None


def variables_of(parameter: click.Parameter, prefix: str | None) -> list[str]:
    """Return the variables that can set a parameter."""
    if isinstance(parameter.envvar, str):
        return [parameter.envvar]
    if parameter.envvar:
        return list(parameter.envvar)
    is_automatic = prefix is not None and isinstance(parameter, click.Option) and parameter.allow_from_autoenv
    return [f"{prefix}_{(parameter.name or '').upper()}"] if is_automatic else []


def _speaks_of(message: str, parameter: click.Parameter, text: str) -> bool:
    flags = [flag for flag in parameter.opts if flag.startswith("-")]
    quoted = re.findall(r"'([^']+)'", message)
    return any(re.search(rf"(?<![\w-]){re.escape(words)}(?![\w-])", text) for words in quoted) or any(
        re.search(rf"{re.escape(flag)}(?![\w-])", message) for flag in flags
    )
