"""The names of the loop designs, which the command line knows without importing a backend."""

MODES = ("managed", "always-on", "on-demand", "condition", "thread", "process")
"""Every mode that both backends have, as ``--mode`` spells it, the default first."""
