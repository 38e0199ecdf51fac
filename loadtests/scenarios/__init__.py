"""
The scenarios that ``--scenario`` chooses from: each module here is one, by its name, with a Locust user class.

To add one, add a module with a user class and a ``SCENARIO``.
"""

from importlib import import_module
from pkgutil import iter_modules

from loadtests.scenario import Scenario


def all_scenarios() -> dict[str, Scenario]:
    """Return the scenarios by name."""
    names = sorted(module.name for module in iter_modules(__path__))
    return {name: import_module(f"{__name__}.{name}").SCENARIO for name in names}
