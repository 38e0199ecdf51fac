"""What picows hands to a transport is the transport's own."""

from types import SimpleNamespace
from typing import Any

from backends.asyncio_server.frameworks.picows import LibraryTransport


def test_what_is_long_is_written_from_memory_of_its_own() -> None:
    written: list[bytes] = []
    door: Any = SimpleNamespace(transport=SimpleNamespace(write=written.append))
    reused = bytearray(b"header ")
    LibraryTransport(door).writelines([memoryview(reused), b"message"])
    reused[:] = b"another"
    assert written == [b"header message"]
