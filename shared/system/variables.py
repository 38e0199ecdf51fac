"""
Gives each flag its environment variable, and adds to an error about a flag the variable that set it.

Else a user would look in vain for that value on the command line.
"""

import re
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

SERVICE_PORT = re.compile(r"(tcp|udp|sctp)://\S+")
"""
What Kubernetes sets ``<NAME>_PORT`` to in containers beside a service of that name (its documentation, "Environment
variables" of services): nobody has chosen that as a port.
"""


def option(flag: str, *names: str, **attributes: Any) -> Callable[[Any], Any]:
    """Return a click option that shows its default, and whose variable is its name: TICKBENCH_TICK_RATE."""
    variable = f"TICKBENCH_{flag.removeprefix('--').replace('-', '_').upper()}"
    usual: dict[str, Any] = {"envvar": variable, "show_default": True}
    return click.option(flag, *names, **usual | attributes)


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
    if context.get_parameter_source(parameter.name or "") is not ParameterSource.ENVIRONMENT:
        return None
    text = parameter.resolve_envvar_value(context)
    return None if text is None else (str(parameter.envvar), text)


def _speaks_of(message: str, parameter: click.Parameter, text: str) -> bool:
    flags = [flag for flag in parameter.opts if flag.startswith("-")]
    quoted = re.findall(r"'([^']+)'", message)
    return any(re.search(rf"(?<![\w-]){re.escape(words)}(?![\w-])", text) for words in quoted) or any(
        re.search(rf"{re.escape(flag)}(?![\w-])", message) for flag in flags
    )
