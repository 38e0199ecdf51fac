"""
HDR histograms of durations: 1 us to 60 s, 3 significant digits, exact when merged.

The only module that touches ``hdrh``, which carries no types, drops values out of range in silence and
records slowly. Its encoding and its counters are used; the recording is done here.
"""

from __future__ import annotations

import binascii
import math
import struct
import zlib
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import msgspec
from hdrh.codec import HdrCookieException, HdrHistogramEncoder, HdrLengthException
from hdrh.histogram import HdrHistogram

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

LOWEST_US: Final = 1
HIGHEST_US: Final = 60_000_000
SIGNIFICANT_DIGITS: Final = 3

# The layout of HDR at 3 digits: 2,048 counters of 1 us, then 1,024 counters for each doubling of the value.
# See "sub-buckets" in HdrHistogram's AbstractHistogram; a test compares every index with the library's own.
_SUB_BUCKET_BITS: Final = 11
_HALF_BITS: Final = _SUB_BUCKET_BITS - 1

_LAYOUT: Final = (LOWEST_US, HIGHEST_US, SIGNIFICANT_DIGITS)
_BLOCK: Final = 256
"""So many counters are summed up at once where only their sum matters: far cheaper than one after the other."""
_OUTER_HEADER_BYTES: Final = 8
_MAX_UNPACKED_BYTES: Final = 1 << 18
"""More than a header and a 9-byte number for each of the 17,408 counters (HdrHistogram's V2 encoding)."""
_NO_HISTOGRAM: Final = (
    binascii.Error,
    zlib.error,
    HdrCookieException,
    HdrLengthException,
    ArithmeticError,
    IndexError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What the library raises for bytes that are no histogram."""


class HistogramSummary(msgspec.Struct, frozen=True, kw_only=True):
    """
    A histogram in a result or in /stats: figures in milliseconds, and all counters in ``hdr``.

    An empty histogram has ``count`` 0 and None (JSON null) for every figure: 0 ms would be a measurement.

    """

    count: int
    mean: float | None
    p50: float | None
    p90: float | None
    p99: float | None
    p999: float | None
    max: float | None
    early: int
    """Values under 1 us (0 and negative ones too), recorded as 1 us."""
    clipped: int
    """Values over 60 s, recorded as 60 s."""
    hdr: str
    """Base64 of the HDR V2 compressed encoding, in microseconds."""


class Histogram:
    """Counts durations in microseconds; none is lost: :attr:`count` is always how many were recorded."""

    def __init__(self) -> None:
        self._hdr: Any = HdrHistogram(LOWEST_US, HIGHEST_US, SIGNIFICANT_DIGITS)
        self._counts: Any = self._hdr.counts
        self.total_us = 0
        """The sum of the recorded values."""
        self.count = 0
        self.early = 0
        self.clipped = 0
        self.max_us = 0
        """The greatest recorded value, exact; 0 while empty."""

    # Recording

    def record(self, us: int, count: int = 1) -> None:
        """Count a duration of ``us`` microseconds ``count`` times."""
        if us < LOWEST_US:
            self.early += count
            us = LOWEST_US
        elif us > HIGHEST_US:
            self.clipped += count
            us = HIGHEST_US
        self.max_us = max(self.max_us, us)
        self._counts[_index_of(us)] += count
        self.total_us += us * count
        self.count += count

    def record_array(self, us: NDArray[np.int64]) -> None:
        """Count every duration of an array of microseconds: the same as :meth:`record` one by one."""
        if not len(us):
            return
        import numpy as np  # noqa: PLC0415 - a server records one by one and shall not carry numpy's memory and threads

        self.early += int(np.count_nonzero(us < LOWEST_US))
        self.clipped += int(np.count_nonzero(us > HIGHEST_US))
        us = np.clip(us, LOWEST_US, HIGHEST_US)
        # The exponent that frexp gives is the bit length: exact, as every value is far below 2**53.
        shift = np.maximum(np.frexp(us)[1].astype(np.int64) - _SUB_BUCKET_BITS, 0)
        indexes = (shift << _HALF_BITS) + (us >> shift)
        counts = np.frombuffer(self._counts, dtype=np.uint64)
        counts += np.bincount(indexes, minlength=len(counts)).astype(np.uint64)
        self.total_us += int(us.sum())
        self.count += len(us)
        self.max_us = max(self.max_us, int(us.max()))

    def add(self, other: Histogram) -> None:
        """Count all that ``other`` counted: the same as if its values had been recorded here."""
        self._hdr.encoder.add(other._hdr.encoder)
        self.total_us += other.total_us
        self.count += other.count
        self.early += other.early
        self.clipped += other.clipped
        self.max_us = max(self.max_us, other.max_us)

    def since(self, earlier: Histogram) -> Histogram:
        """
        Return what was recorded after ``earlier``, an earlier state of this histogram.

        Its maximum is known to the histogram's 3 digits only.

        Raises:
            ValueError: ``earlier`` counts something that this histogram does not, so it is no earlier state of it.

        """
        later = Histogram()
        for index, (now, before) in enumerate(zip(self._all_counts(), earlier._all_counts(), strict=True)):
            if before > now:
                raise ValueError("a histogram's counters went down: the server was started anew in between")
            if now > before:
                later._counts[index] = now - before
                later.max_us = min(_highest_of(index), self.max_us)
        later.total_us = self.total_us - earlier.total_us
        later.count = self.count - earlier.count
        later.early = self.early - earlier.early
        later.clipped = self.clipped - earlier.clipped
        is_sum = later.count <= later.total_us <= later.count * HIGHEST_US  # of so many values from 1 us to 60 s
        if not is_sum or min(later.early, later.clipped) < 0:
            raise ValueError("a histogram's counters and its other figures did not go up together")
        return later

    # Reading

    @property
    def mean_us(self) -> float:
        """The mean of the recorded values; 0 while empty."""
        return self.total_us / self.count if self.count else 0.0

    def counts_up_to(self, bounds_us: Sequence[int]) -> list[int]:
        """
        Return for each bound how many values do not exceed it; a bound is 0 or more.

        A value that shares the bound's counter counts as within it. So up to 2,047 us these are exact; above, a value
        that exceeds its bound by less than 0.1 % may be counted, and none that does not exceed it is left out.

        """
        counts = self._used_counts()
        up_to: dict[int, int] = {}  # by how many of the counters
        total = last = 0
        for end in sorted({_index_of(bound_us) + 1 for bound_us in bounds_us}):
            total += sum(counts[last:end])
            up_to[end], last = total, end
        return [up_to[_index_of(bound_us) + 1] for bound_us in bounds_us]

    def values(self) -> Iterator[tuple[int, int]]:
        """Yield each value in us with how often it was recorded, upwards; as exact as :meth:`percentile_us`."""
        for index, count in enumerate(self._used_counts()):
            if count:
                yield min(_highest_of(index), self.max_us), count

    def columns(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the same as :meth:`values`, as two columns: where thousands differ, one by one takes milliseconds."""
        import numpy as np  # noqa: PLC0415 - as above

        counts = np.frombuffer(self._counts, dtype=np.uint64, count=_index_of(self.max_us) + 1)
        indexes = np.flatnonzero(counts)
        shift = np.maximum((indexes >> _HALF_BITS) - 1, 0)  # as _highest_of
        highest = ((indexes - (shift << _HALF_BITS) + 1) << shift) - 1
        return np.minimum(highest, self.max_us), counts[indexes].astype(np.int64)

    def percentile_us(self, percentile: float) -> int:
        """
        Return the least value that at least ``percentile`` percent of the values do not exceed; 0 while empty.

        This is the nearest-rank definition, as in the HdrHistogram of Java. The value is the highest that shares a
        counter with the true one, so it is at most 0.1 % too high, and never above :attr:`max_us`.

        """
        return self._percentiles_us(percentile)[0]

    def summary(self) -> HistogramSummary:
        """Return the figures in milliseconds, with all counters."""
        values: dict[str, float | None] = dict.fromkeys(("mean", "p50", "p90", "p99", "p999", "max"))
        if self.count:
            p50, p90, p99, p999 = (us / 1000 for us in self._percentiles_us(50, 90, 99, 99.9))
            values = {"p50": p50, "p90": p90, "p99": p99, "p999": p999}
            values |= {"mean": self.mean_us / 1000, "max": self.max_us / 1000}
        return HistogramSummary(count=self.count, early=self.early, clipped=self.clipped, hdr=self._encoded(), **values)

    @classmethod
    def from_summary(cls, summary: HistogramSummary) -> Histogram:
        """
        Return the histogram that gave ``summary``.

        Raises:
            ValueError: its ``hdr`` is no such histogram, or does not hold ``count`` values, or its figures are not
                those of durations from 1 us to 60 s.

        """
        _check_figures(summary)
        histogram = cls()
        histogram._hdr = _decoded(summary.hdr)
        histogram._counts = histogram._hdr.counts
        histogram.count = sum(histogram._all_counts())
        if histogram.count != summary.count:
            raise ValueError(f"a histogram says count {summary.count} and holds {histogram.count} values")
        histogram.early = summary.early
        histogram.clipped = summary.clipped
        histogram.max_us = round((summary.max or 0) * 1000)
        # Exact while the sum of all values is under 2**50 us: a double carries 53 bits.
        histogram.total_us = round((summary.mean or 0) * 1000 * summary.count)
        return histogram

    # Private methods

    def _percentiles_us(self, *percentiles: float) -> list[int]:
        counts = self._used_counts()
        sums = [sum(counts[start : start + _BLOCK]) for start in range(0, len(counts), _BLOCK)]
        below = [0, *accumulate(sums)]  # each block
        values = []
        for percentile in percentiles:
            # Rounded before the ceiling: 99.9 % of 1,000 is 999.0000000000001 in floating point.
            rank = max(1, math.ceil(round(percentile * self.count / 100, 6)))
            rank = min(rank, self.count)
            block = max(0, bisect_left(below, rank) - 1)
            start = block * _BLOCK
            index = start + bisect_left(list(accumulate(counts[start : start + _BLOCK])), rank - below[block])
            values.append(min(_highest_of(index), self.max_us))
        return values

    def _all_counts(self) -> tuple[int, ...]:
        """Return all counters; to look at each in the library's array takes ten times as long."""
        counts: tuple[int, ...] = struct.unpack_from(f"{len(self._counts)}Q", self._counts)
        return counts

    def _used_counts(self) -> tuple[int, ...]:
        """Return the counters up to that of the greatest value; faster than to slice the library's array."""
        counts: tuple[int, ...] = struct.unpack_from(f"{_index_of(self.max_us) + 1}Q", self._counts)
        return counts

    def _encoded(self) -> str:
        # The library encodes the counters up to its own maximum, and none while its total is 0.
        self._hdr.total_count = self.count
        self._hdr.max_value = self.max_us
        encoded: bytes = self._hdr.encode()
        return encoded.decode("ascii")


def _index_of(us: int) -> int:
    """Return the counter of a value from 0 to HIGHEST_US."""
    shift = us.bit_length() - _SUB_BUCKET_BITS
    if shift <= 0:
        return us
    return (shift << _HALF_BITS) + (us >> shift)


def _highest_of(index: int) -> int:
    """Return the highest value that is counted at ``index``: the inverse of :func:`_index_of`."""
    shift = max(0, (index >> _HALF_BITS) - 1)
    return ((index - (shift << _HALF_BITS) + 1) << shift) - 1


def _check_figures(summary: HistogramSummary) -> None:
    """Raise ValueError where a figure is impossible: a summary may come from anybody's server."""
    for name, ms in (("mean", summary.mean), ("max", summary.max)):
        if ms is not None and not 0 <= ms <= HIGHEST_US / 1000:  # which NaN is not, either
            raise ValueError(f"a histogram of 1 us to 60 s says {name} {ms:g} ms")
    for name, count in (("early", summary.early), ("clipped", summary.clipped)):
        if not 0 <= count <= summary.count:
            raise ValueError(f"a histogram of {summary.count} values says {name} {count}")


def _decoded(hdr: str) -> Any:
    """Return the library's histogram from its base64 encoding, or raise ValueError."""
    try:
        # Unpacked to the end only if it is no larger than one of ours can be, and before its size is believed.
        packed = binascii.a2b_base64(hdr)[_OUTER_HEADER_BYTES:]
        unpacked = zlib.decompressobj().decompress(packed, _MAX_UNPACKED_BYTES + 1)
        if len(unpacked) > _MAX_UNPACKED_BYTES:
            raise HdrLengthException(f"more than {_MAX_UNPACKED_BYTES} bytes")
        header = HdrHistogramEncoder.decode(hdr).payload
        found = (header.lowest_trackable_value, header.highest_trackable_value, header.significant_figures)
        decoded = HdrHistogram.decode(hdr) if found == _LAYOUT else None
    except _NO_HISTOGRAM as error:
        raise ValueError(f"not an HDR histogram in base64: {hdr[:40]!r} ({error})") from error
    if decoded is None:
        raise ValueError(f"an HDR histogram of (lowest, highest, digits) {found}, not of 1 us to 60 s with 3 digits")
    return decoded
