import errno
import io
import os
from typing import Any

import numpy as np
import pytest

from loadtests.account import deliveries as spool
from loadtests.account.deliveries import Deliveries


def kept(of: Deliveries, connections: int) -> list[tuple[int, int]]:
    chunks = [zip(rows.tolist(), pdv.tolist(), strict=True) for rows, pdv in of.pdv(connections)]
    return [row for chunk in chunks for row in chunk]


def append(of: Deliveries, *rows: tuple[int, int]) -> None:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 2)
    of.append(columns[:, 0], columns[:, 1])


def test_the_least_of_each_connection_is_nought() -> None:
    deliveries = Deliveries()
    append(deliveries, (0, 900), (1, 50), (0, 700))
    append(deliveries, (1, 30), (0, 750), (4, -20))
    assert kept(deliveries, 5) == [(0, 200), (1, 20), (0, 0), (1, 0), (0, 50), (4, 0)]
    deliveries.close()


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_chunks_do_not_matter(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "CHUNK_ROWS", rows)
    deliveries = Deliveries()
    append(deliveries, *((i % 3, 1000 - i) for i in range(10)))
    assert [pdv for _, pdv in kept(deliveries, 3)] == [9, 6, 6, 6, 3, 3, 3, 0, 0, 0]
    deliveries.close()


def test_more_than_fits_is_the_most_that_does() -> None:
    deliveries = Deliveries()
    append(deliveries, (0, -(2**40)), (1, 2**40), (1, 0))
    assert kept(deliveries, 2) == [(0, 0), (1, 2**31 - 1), (1, 0)]
    deliveries.close()


def test_nothing_kept() -> None:
    deliveries = Deliveries()
    assert kept(deliveries, 3) == []
    deliveries.close()


def test_closed_it_has_forgotten_all() -> None:
    deliveries = Deliveries()
    append(deliveries, (0, 5))
    deliveries.close()
    deliveries.close()
    assert kept(deliveries, 1) == []
    append(deliveries, (0, 9))
    assert kept(deliveries, 1) == [(0, 0)]
    deliveries.close()


@pytest.mark.parametrize("room_bytes", [0, 5, 8, 20, 10_000])
def test_what_a_full_disk_does_not_take_is_kept_all_the_same(room_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class SmallFile(io.BytesIO):
        def write(self, data: Any) -> int:
            if not (left := room_bytes - self.tell()):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data[:left])

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: SmallFile())
    deliveries = Deliveries()
    append(deliveries, (0, 900), (1, 50), (0, 700))
    append(deliveries, (1, 30), (0, 750), (4, -20))
    for _ in range(2):
        assert kept(deliveries, 5) == [(0, 200), (1, 20), (0, 0), (1, 0), (0, 50), (4, 0)]
    deliveries.close()


def test_a_run_goes_on_without_a_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.TemporaryFile", none)
    deliveries = Deliveries()
    append(deliveries, (0, 900), (0, 700))
    assert kept(deliveries, 1) == [(0, 200), (0, 0)]
