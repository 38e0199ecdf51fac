"""The URL of a relay: what ``--relay`` takes."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

KINDS = ("memory", "redis", "unix", "zmq")
MOST_PATH_BYTES = 107
"""What the kernel takes as the path of a Unix socket."""

RELAYS = "redis://HOST:PORT, zmq+ipc://PATH, zmq+tcp://HOST:PORT, unix:PATH"


@dataclass(frozen=True, slots=True)
class RelayUrl:
    """Where a relay is, and what speaks to it."""

    kind: str
    """One of :data:`KINDS`."""
    where: str
    """What that takes: Redis its whole URL, ZeroMQ its endpoint, a Unix socket its path, memory a name."""
    shown: str
    """The URL without what may be secret."""


def parse_relay_url(url: str) -> RelayUrl:
    """Parse the URL of a relay; ValueError says in one line what would be right."""
    scheme, _, rest = url.partition(":")
    path = rest.removeprefix("//")
    match scheme:
        case "memory":
            return RelayUrl("memory", path, url)
        case "redis" | "rediss" if rest.startswith("//"):
            return RelayUrl("redis", url, _without_secrets(url))
        case "zmq+tcp" if rest.startswith("//"):
            _check_place(url)
            return RelayUrl("zmq", f"tcp://{path}", url)
        case "zmq+ipc" if rest.startswith("//"):
            return RelayUrl("zmq", f"ipc://{_checked_path(path)}", url)
        case "unix":
            return RelayUrl("unix", _checked_path(path), url)
    raise ValueError(f"a relay is one of {RELAYS}; not {url!r}")


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"the port of a relay is a number from 0 to 65535: {RELAYS}") from None
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host if port is None else f'{host}:{port}'}{parts.path}"


def _check_place(url: str) -> None:
    try:
        is_whole = bool(urlsplit(url).hostname) and urlsplit(url).port is not None
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError(f"zmq+tcp:// takes HOST:PORT, not {url.partition('//')[2]!r}")


def _checked_path(path: str) -> str:
    if not 0 < len(path.encode()) <= MOST_PATH_BYTES or "\0" in path:
        raise ValueError(f"the path of a relay's socket has 1 to {MOST_PATH_BYTES} bytes, not {len(path.encode())}")
    return path
