"""What this stack consists of. Knows nothing of the figures themselves (:mod:`shared.stats`)."""

PACKAGES = ("gevent", "greenlet", "gevent-websocket", "flask", "werkzeug", "msgspec")
"""Whose versions every result must name."""
