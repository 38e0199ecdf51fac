"""The packages whose versions this stack reports in ``/stats``."""

PACKAGES = ("gevent", "greenlet", "gevent-websocket", "flask", "werkzeug", "msgspec")
"""Whose versions every result must name."""
