"""
The frameworks of each backend: what serves HTTP and WebSocket on it.

Each is a file of its own in ``backends/<backend>_server/frameworks``, which is imported when it is chosen.
``python -m shared.server.frameworks`` prints them as JSON: by backend and name, the fan-outs that they can do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FANOUTS = ("frame-once", "library", "naive")
"""Ways to hand a frame to every connection of a room; the first is the default."""

DEFLATES = ("off", "on", "once")
"""Ways to compress."""

OF_EVERY_STACK = ("msgspec",)


@dataclass(frozen=True, slots=True)
class FrameworkEntry:
    """
    What is known of a framework without importing it.

    ``packages`` are those whose versions every result names; ``fanouts`` those that it can do: where it hides its
    transport, no frame can be written past it. ``deflate`` is what its own permessage-deflate is by default, ``on`` or
    ``off``; None: it has none. ``extra`` is the one of pyproject.toml that has its packages.

    ``naive`` is what is in force where ``--fanout naive`` leaves its own defaults alone, beside compression: Nagle's
    algorithm, its pings (None: it sends none), whether a send to all waits for a peer that does not read, and what else
    it bounds.
    """

    packages: tuple[str, ...]
    fanouts: tuple[str, ...] = FANOUTS
    deflate: str | None = None
    extra: str = "server"
    naive: Mapping[str, float | bool | None] = field(default_factory=dict)

    @property
    def deflates(self) -> tuple[str, ...]:
        """The values of ``--deflate`` that it can do: ``once`` where a frame can be written past it."""
        able = {"off": True, "on": self.deflate is not None, "once": FANOUTS[0] in self.fanouts}
        return tuple(deflate for deflate in DEFLATES if able[deflate])

    def usual_deflate(self, fanout: str) -> str:
        """
        Return what ``--deflate`` is where it is not set.

        A frame that is built once is compressed once: it costs next to nothing, and saves three quarters of the bytes
        (docs/servers.md). The naive fan-out leaves it to the framework; what a library sends is not compressed.

        """
        return {FANOUTS[0]: "once", "naive": self.deflate or "off"}.get(fanout, "off")

    def complaint(self, name: str, fanout: str, deflate: str) -> str | None:
        """Return why it, which is called ``name``, can't be served with these flags; None if it can."""
        if fanout not in self.fanouts:
            return f"--framework {name} can't do --fanout {fanout}, but {', '.join(self.fanouts)}"
        if deflate not in self.deflates:
            return f"--framework {name} can't do --deflate {deflate}, but {', '.join(self.deflates)}"
        if deflate == "on" and fanout == "frame-once":
            return f"--deflate on has the framework write, so not with --fanout {fanout}, but library or naive"
        if deflate == "once" and fanout != "frame-once":
            return (
                f"--deflate once compresses a frame that is built once, so not with --fanout {fanout}, but frame-once"
            )
        return None


def usual_fanout(deflate: str | None) -> str:
    """Return what ``--fanout`` is where it is not set: frames that the framework compresses it has to write."""
    return "library" if deflate == "on" else FANOUTS[0]


def _naive(*, nagle: bool, waits: bool, ping_interval_s: float | None = None, **bounds: float) -> dict[str, Any]:
    return {"nagle": nagle, "waits_for_peer": waits, "ping_interval_s": ping_interval_s, **bounds}


IN_MEMORY = {"capacity": 100, "expiry_s": 60, "group_expiry_s": 86_400}
"""What Channels' layer in memory bounds."""

FRAMEWORKS: dict[str, dict[str, FrameworkEntry]] = {
    "asyncio": {
        "aiohttp": FrameworkEntry(
            ("aiohttp", "uvloop", *OF_EVERY_STACK),
            deflate="on",
            naive=_naive(nagle=False, waits=True, writer_limit_bytes=2**18),
        ),
        "starlette": FrameworkEntry(
            ("starlette", "uvicorn", "websockets", "h11", "uvloop", *OF_EVERY_STACK),
            deflate="on",
            naive=_naive(nagle=False, waits=True),
        ),
        "websockets": FrameworkEntry(
            ("websockets", "uvloop", *OF_EVERY_STACK),
            deflate="on",
            naive=_naive(
                nagle=False, waits=False, ping_interval_s=20, ping_timeout_s=20, max_queue=16, write_limit_bytes=2**15
            ),
        ),
        "picows": FrameworkEntry(
            ("picows", "uvloop", *OF_EVERY_STACK),
            extra="frameworks",
            naive=_naive(nagle=False, waits=False, read_buffer_init_bytes=2**14),
        ),
        "tornado": FrameworkEntry(
            ("tornado", "uvloop", *OF_EVERY_STACK),
            deflate="off",
            extra="frameworks",
            naive=_naive(nagle=True, waits=False),
        ),
        "autobahn": FrameworkEntry(
            ("autobahn", "twisted", "txaio", "uvloop", *OF_EVERY_STACK),
            deflate="off",
            extra="frameworks",
            naive=_naive(nagle=True, waits=False),
        ),
        "channels": FrameworkEntry(
            ("channels", "django", "asgiref", "uvicorn", "websockets", "h11", "uvloop", *OF_EVERY_STACK),
            deflate="on",
            extra="frameworks",
            naive=_naive(nagle=False, waits=False, **IN_MEMORY),
        ),
        "daphne": FrameworkEntry(
            (
                "daphne",
                "channels",
                "django",
                "asgiref",
                "autobahn",
                "twisted",
                "txaio",
                "uvicorn",
                "websockets",
                "h11",
                "uvloop",
                *OF_EVERY_STACK,
            ),
            deflate="off",
            extra="frameworks",
            naive=_naive(nagle=True, waits=False, **IN_MEMORY),
        ),
    },
    "gevent": {
        "gevent-websocket": FrameworkEntry(
            ("gevent", "greenlet", "gevent-websocket", "flask", "werkzeug", *OF_EVERY_STACK),
            naive=_naive(nagle=True, waits=True),
        ),
        "flask-sock": FrameworkEntry(
            (
                "gevent",
                "greenlet",
                "flask-sock",
                "simple-websocket",
                "wsproto",
                "h11",
                "flask",
                "werkzeug",
                *OF_EVERY_STACK,
            ),
            deflate="on",
            extra="frameworks",
            naive=_naive(nagle=True, waits=True),
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


if __name__ == "__main__":
    import json

    fanouts = {backend: {name: each.fanouts for name, each in of.items()} for backend, of in FRAMEWORKS.items()}
    print(json.dumps(fanouts))  # noqa: T201 # for programs that start backends, and import none
