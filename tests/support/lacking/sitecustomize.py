"""
An interpreter in which packages are missing: those that ``LACKING`` names, with commas between, as modules are called.

It runs in every process whose PYTHONPATH has this folder.
"""

import os
import sys
from importlib.machinery import PathFinder
from typing import Any

LACKING = frozenset(os.environ.get("LACKING", "").split(","))


class LackingFinder:
    """Finds what is on the path, but for those."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.partition(".")[0] in LACKING else PathFinder.find_spec(name, path, target)

    @staticmethod
    def find_distributions(context: Any) -> Any:
        return () if context.name in LACKING else PathFinder.find_distributions(context)


sys.meta_path[:] = [LackingFinder if finder is PathFinder else finder for finder in sys.meta_path]
