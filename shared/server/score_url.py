"""Where ``--scores`` has the top scores kept: in a file, or in a Redis or memcached that a URL names."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.wire.hosts import parse_host, url_host

PORTS = {"redis": 6379, "memcached": 11211}
"""The kinds of servers, with their usual ports."""
MEMORY = ":memory:"
"""What SQLite calls a database that is no file."""
RIGHT = "redis://[USER:PASSWORD@]HOST[:PORT][/DB], memcached://HOST[:PORT] or a file would be right"


@dataclass(frozen=True, slots=True)
class ScoreUrl:
    """A server that keeps scores; its text and its repr have no password."""

    kind: str
    host: str
    port: int
    db: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        place = f"{self.kind}://{url_host(self.host)}:{self.port}"
        return f"{place}/{self.db}" if self.kind == "redis" else place


def parse_score_place(text: str) -> ScoreUrl | Path | None:
    """
    Return the server or the file; None for memory alone.

    Raises:
        ValueError: it is neither; the message says why, and never a password.

    """
    if text == MEMORY:
        return None
    kind, mark, _ = text.partition("://")
    if not mark:
        return _file(text)
    if kind not in PORTS:
        raise ValueError(f"scores can't be kept at a {kind}:// URL; {RIGHT}")
    try:
        parts = urlsplit(text)
        host, port = parse_host(parts.hostname or ""), parts.port
    except ValueError:
        raise ValueError(f"that {kind}:// URL has no host and port that can be; {RIGHT}") from None
    if parts.query or parts.fragment or port == 0:
        raise ValueError(f"that {kind}:// URL has more than can be used; {RIGHT}")
    path = parts.path.removeprefix("/")
    if kind == "memcached" and (path or "@" in parts.netloc):
        raise ValueError(f"memcached has no databases, and nobody logs in to it; {RIGHT}")
    if path and not (path.isascii() and path.isdecimal() and len(path) <= len("16383")):
        raise ValueError(f"that redis:// URL has no database's number behind its host; {RIGHT}")
    user, password = (unquote(word) if word else None for word in (parts.username, parts.password))
    if user and password is None:
        raise ValueError(f"that redis:// URL has a user and no password; {RIGHT}")
    return ScoreUrl(kind, host, port or PORTS[kind], int(path or 0), user, password)


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir():
        raise ValueError(f"{text!r} is a folder; {RIGHT}")
    return path
