"""The names of the loop designs, which the command line knows without importing a backend."""

MODES: tuple[str, ...] = ("managed",)
"""Every mode that both backends have, as ``--mode`` spells it."""
