"""The names of the loop designs, for those who must not import a backend."""

MODES = ("managed", "always-on", "on-demand", "condition", "thread", "process")
"""Every mode that both backends have, as ``--mode`` spells it, the default first."""
