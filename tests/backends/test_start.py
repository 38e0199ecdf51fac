"""What a server holds when it begins to serve is the same, or nearly, whatever its start was like."""

from pathlib import Path

import pytest

from tests.support.server import run_server

APART_BYTES = 2 * 2**20
"""What compiling leaves in Python's own arenas is 1 MiB, which nothing gives back; in the C library's, 3 to 4 more."""


def held(backend: str) -> int:
    with run_server(backend, cold=True) as server:
        return int(server.stats()["process"]["rss_bytes"])


@pytest.mark.parametrize("backend", ["asyncio", "gevent"])
def test_a_server_that_had_to_compile_holds_little_more(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "written"))
    held(backend)
    with_caches = held(backend)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "none"))
    assert held(backend) - with_caches < APART_BYTES
