"""The packages whose versions this stack reports in ``/stats``."""

PACKAGES = ("aiohttp", "uvloop", "msgspec")
"""Whose versions every result must name."""
