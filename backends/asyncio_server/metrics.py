"""What this stack consists of. Knows nothing of the figures themselves (:mod:`shared.server.stats`)."""

PACKAGES = ("aiohttp", "uvloop", "msgspec")
"""Whose versions every result must name."""
