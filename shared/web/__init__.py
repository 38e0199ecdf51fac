"""Loads the files of the two web pages, which both servers send unchanged, and states the headers that go with them."""

from dataclasses import dataclass
from importlib.resources import files

POLICY = (
    "default-src 'self'; img-src 'self' data:; connect-src 'self'; "  # the WebSocket of its own server among it
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    ("Cache-Control", "no-cache"),
    ("Content-Security-Policy", POLICY),
    # Isolated from other origins, the page gets a clock of microseconds, which its jitter chart needs.
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)
KINDS = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
"""What files are, by how their names end."""


@dataclass(frozen=True, slots=True)
class WebFile:
    """One file of a page."""

    content_type: str
    body: bytes


def load_web_files() -> dict[str, WebFile]:
    """Read the game's page, by URL path."""
    loaded = _load("index.html", "client.js", "style.css")
    loaded["/"] = loaded.pop("/index.html")
    return loaded


def load_monitor_files() -> dict[str, WebFile]:
    """Read what the operators' page has beside the game's style, by URL path."""
    loaded = _load("monitor.html", "monitor.js", "monitor.css")
    loaded["/monitor"] = loaded.pop("/monitor.html")
    return loaded


def _load(*names: str) -> dict[str, WebFile]:
    folder = files(__name__)
    return {f"/{name}": WebFile(KINDS[name.rpartition(".")[2]], (folder / name).read_bytes()) for name in names}
