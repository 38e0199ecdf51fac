"""
Keeps the delivery time of every frame on disk, to compute packet delay variation at the end of a run.

The variation is measured against a connection's least delivery time, which is known only at the end. 8 bytes a frame
on disk, and a run of hours takes no more memory than one of seconds.
"""

import io
import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

CHUNK_ROWS = 500_000
ROW_BYTES = 8
_HIGHEST = 2**31 - 1


class Deliveries:
    """Rows of connection and delivery in microseconds (at most 35 minutes), in a file that has no name."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._rest = io.BytesIO()
        """The rows behind those in the file, once the disk is full or can't be written."""
        self._is_full = False

    def append(self, connection: NDArray[np.int64], delivery_us: NDArray[np.int64]) -> None:
        """Keep rows."""
        rows = np.empty((len(connection), 2), dtype=np.int32)
        rows[:, 0] = connection
        rows[:, 1] = np.clip(delivery_us, -_HIGHEST, _HIGHEST)
        self._keep(memoryview(rows.tobytes()))

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
        self._rest, self._is_full = io.BytesIO(), False

    def _keep(self, data: memoryview) -> None:
        """Write to the file or, once that has failed, to memory, so that no measurement is lost."""
        while data and not self._is_full:
            try:
                if self._file is None:
                    # Unbuffered: so it is known how much is on disk.
                    self._file = tempfile.TemporaryFile(prefix="tickbench-", buffering=0)  # noqa: SIM115 - see close()
                data = data[self._file.write(data) :]
            except OSError:
                self._is_full = True
        self._rest.write(data)

    def _chunks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield what was kept, whole rows each time."""
        begun = b""
        for kept in filter(None, (self._file, self._rest)):
            kept.seek(0)
            while data := kept.read(CHUNK_ROWS * ROW_BYTES):
                begun += data
                end = len(begun) // ROW_BYTES * ROW_BYTES
                rows = np.frombuffer(begun[:end], dtype=np.int32).reshape(-1, 2).astype(np.int64)
                yield rows[:, 0], rows[:, 1]
                begun = begun[end:]
