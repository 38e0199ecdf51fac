"""
The frameworks of each backend: what serves HTTP and WebSocket on it.

Each is a file of its own in ``backends/<backend>_server/frameworks``, which is imported when it is chosen.
"""

from dataclasses import dataclass

FANOUTS = ("frame-once", "library", "naive")
"""Ways to hand a frame to every connection of a room; the first is the default."""

OF_EVERY_STACK = ("msgspec",)


@dataclass(frozen=True, slots=True)
class FrameworkEntry:
    """
    What is known of a framework without importing it.

    ``packages`` are those whose versions every result names; ``fanouts`` those that it can do: where it hides its
    transport, no frame can be written past it.
    """

    packages: tuple[str, ...]
    fanouts: tuple[str, ...] = FANOUTS


FRAMEWORKS: dict[str, dict[str, FrameworkEntry]] = {
    "asyncio": {
        "aiohttp": FrameworkEntry(("aiohttp", "uvloop", *OF_EVERY_STACK)),
        "starlette": FrameworkEntry(("starlette", "uvicorn", "websockets", "h11", "uvloop", *OF_EVERY_STACK)),
    },
    "gevent": {
        "gevent-websocket": FrameworkEntry(
            ("gevent", "greenlet", "gevent-websocket", "flask", "werkzeug", *OF_EVERY_STACK),
        ),
    },
}
"""By backend and name; the first of each is the default."""


def framework_of(backend: str, name: str) -> FrameworkEntry:
    """Return what is known of a framework."""
    return FRAMEWORKS[backend][name]


def module_of(backend: str, name: str) -> str:
    """Return the module of a framework."""
    return f"backends.{backend}_server.frameworks.{name.replace('-', '_')}"
