"""
Where deliveries wait until the end: delay variation is measured against a connection's least, which comes when it will.

They are kept on disk, 8 bytes a frame, so that a run of hours takes no more memory than one of seconds. Knows nothing
of what the figures mean.
"""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CHUNK_ROWS = 500_000
_HIGHEST = 2**31 - 1


class DeliverySpool:
    """Rows of connection and delivery in microseconds (at most 35 minutes), in a file that has no name."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None

    def append(self, connection: NDArray[np.int64], delivery_us: NDArray[np.int64]) -> None:
        """Keep rows; raise OSError where the disk is full."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="tickbench-")  # noqa: SIM115 - closed by close()
        rows = np.empty((len(connection), 2), dtype=np.int32)
        rows[:, 0] = connection
        rows[:, 1] = np.clip(delivery_us, -_HIGHEST, _HIGHEST)
        self._file.write(rows.tobytes())

    def pdv(self, connections: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield connections and their packet delay variations (RFC 5481, 4.2) in microseconds, in chunks."""
        least = np.full(connections, _HIGHEST, dtype=np.int64)
        for connection, delivery_us in self._chunks():
            np.minimum.at(least, connection, delivery_us)
        for connection, delivery_us in self._chunks():
            yield connection, delivery_us - least[connection]

    def close(self) -> None:
        """Forget all rows."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _chunks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        if self._file is None:
            return
        self._file.seek(0)
        while data := self._file.read(CHUNK_ROWS * 8):
            rows = np.frombuffer(data, dtype=np.int32).reshape(-1, 2).astype(np.int64)
            yield rows[:, 0], rows[:, 1]
