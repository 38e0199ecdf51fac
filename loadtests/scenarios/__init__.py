"""
What can be played: each module here is a scenario of its name, a story with a few lines about who takes part.

To add one, add a file with a user class and a ``SCENARIO``.
"""

from importlib import import_module
from pkgutil import iter_modules

from loadtests.scenario import Scenario


def all_scenarios() -> dict[str, Scenario]:
    """Return the scenarios by name."""
    names = sorted(module.name for module in iter_modules(__path__))
    return {name: import_module(f"{__name__}.{name}").SCENARIO for name in names}
