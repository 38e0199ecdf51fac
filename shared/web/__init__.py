"""Loads the files of the web page, which both servers send unchanged, and states the headers that go with them."""

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


@dataclass(frozen=True, slots=True)
class WebFile:
    """One file of the page."""

    content_type: str
    body: bytes


def load_web_files() -> dict[str, WebFile]:
    """Read the page's files, by URL path."""
    kinds = {"index.html": "text/html", "client.js": "text/javascript", "style.css": "text/css"}
    folder = files(__name__)
    loaded = {f"/{name}": WebFile(kind, (folder / name).read_bytes()) for name, kind in kinds.items()}
    loaded["/"] = loaded.pop("/index.html")
    return loaded
