"""
The loop designs, by the name that ``--mode`` gives them; only the chosen one is imported, and what it builds on.

The article whose examples they mend is named in docs/loop-designs/README.md.
"""

from importlib import import_module

from shared.loops.modes import LOOP_CLASSES, module_of

from .managed import ManagedLoop


def load_loop_mode(name: str) -> type[ManagedLoop]:
    """Return the class of a loop design; all of them build on the managed one."""
    loop: type[ManagedLoop] = getattr(import_module(f".{module_of(name)}", __package__), LOOP_CLASSES[name])
    return loop
