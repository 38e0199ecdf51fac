"""What this stack consists of. Knows nothing of the figures themselves (:mod:`shared.server.stats`)."""

PACKAGES = ("gevent", "greenlet", "gevent-websocket", "flask", "werkzeug", "msgspec")
"""Whose versions every result must name."""
