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
class LayerEntry:
    """
    What is known of a layer that a framework broadcasts through, without importing it.

    ``bounds`` are what it bounds (None: without a bound). ``module`` is what has it if it is not the framework itself;
    then it has ``packages``, too, and needs a Redis, which the server starts for itself.
    """

    bounds: Mapping[str, float | bool | None]
    module: str | None = None
    packages: tuple[str, ...] = ()


IN_MEMORY = {"capacity": 100, "expiry_s": 60, "group_expiry_s": 86_400}
"""What Channels' layer in memory bounds, and channels_redis' first one, too."""

ON_REDIS = ("channels-redis", "redis", "msgpack")

LAYERS: dict[str, LayerEntry] = {
    "memory": LayerEntry(IN_MEMORY),
    "redis": LayerEntry(IN_MEMORY, "channels_redis.core", ON_REDIS),
    "redis-pubsub": LayerEntry({"capacity": None}, "channels_redis.pubsub", ON_REDIS),
}
"""By name, the default first: what Channels broadcasts through."""


@dataclass(frozen=True, slots=True)
class FrameworkEntry:
    """
    What is known of a framework without importing it.

    ``packages`` are those whose versions every result names; ``fanouts`` those that it can do: where it hides its
    transport, no frame can be written past it. ``deflate`` is what its own permessage-deflate is by default, ``on`` or
    ``off``; None: it has none. ``extra`` is the one of pyproject.toml that has its packages.

    ``naive`` is what is in force where ``--fanout naive`` leaves its own defaults alone, beside compression: Nagle's
    algorithm, its pings (None: it sends none), whether a send to all waits for a peer that does not read, and what else
    it bounds. ``layers`` are those that it can broadcast through then.
    """

    packages: tuple[str, ...]
    fanouts: tuple[str, ...] = FANOUTS
    deflate: str | None = None
    extra: str = "server"
    naive: Mapping[str, float | bool | None] = field(default_factory=dict)
    layers: tuple[str, ...] = ()

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

    def usual_layer(self, fanout: str) -> str | None:
        """Return what ``--layer`` is where it is not set; None where nothing goes through one."""
        return self.layers[0] if self.layers and fanout == "naive" else None

    def in_force(self, fanout: str, layer: str | None) -> dict[str, float | bool | None]:
        """Return what is in force of its own defaults with these flags: none but with the fan-out ``naive``."""
        if fanout != "naive":
            return {}
        return {**self.naive, **(LAYERS[layer].bounds if layer else {})}

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

    def layer_complaint(self, name: str, fanout: str, layer: str | None) -> str | None:
        """Return why it can't broadcast through a layer with these flags; None if it can, or there is none."""
        if layer is not None and layer not in self.layers:
            able = [each for frameworks in FRAMEWORKS.values() for each, entry in frameworks.items() if entry.layers]
            return f"--framework {name} broadcasts through no layer; --layer goes with {' and '.join(able)}"
        if layer is not None and fanout != "naive":
            return f"--layer is what a broadcast goes through, so not with --fanout {fanout}, but naive"
        return None


def usual_fanout(deflate: str | None) -> str:
    """Return what ``--fanout`` is where it is not set: frames that the framework compresses it has to write."""
    return "library" if deflate == "on" else FANOUTS[0]


def _naive(*, nagle: bool, waits: bool, ping_interval_s: float | None = None, **bounds: float) -> dict[str, Any]:
    return {"nagle": nagle, "waits_for_peer": waits, "ping_interval_s": ping_interval_s, **bounds}


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
            naive=_naive(nagle=False, waits=False),
            layers=tuple(LAYERS),
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
            naive=_naive(nagle=True, waits=False),
            layers=tuple(LAYERS),
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


def packages_of(backend: str, name: str, layer: str | None) -> tuple[str, ...]:
    """Return the packages whose versions every result of a framework names, with those of the layer that it has."""
    return (*framework_of(backend, name).packages, *(LAYERS[layer].packages if layer else ()))


def module_of(backend: str, name: str) -> str:
    """Return the module of a framework."""
    return f"backends.{backend}_server.frameworks.{name.replace('-', '_')}"


if __name__ == "__main__":
    import json

    fanouts = {backend: {name: each.fanouts for name, each in of.items()} for backend, of in FRAMEWORKS.items()}
    print(json.dumps(fanouts))  # noqa: T201 # for programs that start backends, and import none
