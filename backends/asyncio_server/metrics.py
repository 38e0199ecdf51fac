"""What this stack consists of. Knows nothing of the figures themselves (:mod:`shared.stats`)."""

PACKAGES = ("aiohttp", "uvloop", "msgspec")
"""Whose versions every result must name."""
