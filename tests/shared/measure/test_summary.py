"""A summary survives the way to a file and back; anything else is refused in one sentence."""

import msgspec
import pytest

from shared.measure.histogram import Histogram
from shared.measure.summary import (
    ConnectionCounts,
    FrameCounts,
    GeneratorFigures,
    JitterSummary,
    LoadSummary,
    MachineFigures,
    ServerFigures,
    Validity,
    read_summary,
)


def example() -> LoadSummary:
    lateness = Histogram()
    lateness.record(1234)
    lateness.record(-5)
    summary = lateness.summary()
    return LoadSummary(
        url="ws://127.0.0.1:8000/connect",
        scenario="steady",
        started_at="2026-01-01T00:00:00+00:00",
        duration_s=10.0,
        tick_rate_hz=20.0,
        connections=ConnectionCounts(
            requested=3, connected=2, refused=1, timed_out=0, closed_early=0, connect_ms=summary
        ),
        frames=FrameCounts(
            expected=400,
            received=398,
            missing=2,
            duplicate=1,
            out_of_order=1,
            coalesced=0,
            slow_parse=0,
            per_second=39.8,
            bytes=171140,
        ),
        reach=0.995,
        tick_lateness_ms=summary,
        delivery_ms=summary,
        interval_error_ms=summary,
        pdv_ms=summary,
        jitter_rfc3550_ms=JitterSummary.of(lateness),
        ping_rtt_ms=Histogram().summary(),
        generator=GeneratorFigures(
            timestamps="kernel", workers=1, cpu_percent=4.5, us_per_frame=9.0, loop_lag_ms=summary, saturated=False
        ),
        server=ServerFigures(),
        machine=MachineFigures(cpus_server=[0], cpus_generator=[1]),
        validity=Validity.of(["steal was 9 % on core 0"], []),
    )


def test_a_summary_comes_back_as_it_was_written() -> None:
    assert read_summary(example().to_json()) == example()


def test_the_keys_are_those_of_the_schema() -> None:
    written = msgspec.json.decode(example().to_json())
    assert written["schema"] == "tickbench.load/1"
    assert list(written["tick_lateness_ms"]) == [
        "count", "mean", "p50", "p90", "p99", "p999", "max", "early", "clipped", "hdr",
    ]  # fmt: skip
    assert list(written["jitter_rfc3550_ms"]) == ["p50", "p99", "max"]
    assert written["input_ms"] is None
    assert written["groups"] == {}
    assert written["validity"] == {"ok": False, "reasons": ["steal was 9 % on core 0"], "warnings": []}


def test_the_jitter_of_no_connection_is_null() -> None:
    assert JitterSummary.of(Histogram()) == JitterSummary(p50=None, p99=None, max=None)


def test_a_later_field_is_ignored() -> None:
    written = msgspec.json.decode(example().to_json())
    assert read_summary(msgspec.json.encode(written | {"weather": "fine"})) == example()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "truncated"),
        (b"\xff\xfe", "not a load summary"),
        (example().to_json().replace(b"steady", b"\xff"), "UTF-8"),
        (b"[]", "Expected `object`"),
        (b"{}", "missing required field `url`"),
        (example().to_json().replace(b"load/1", b"load/2"), "schema"),
        (example().to_json().replace(b'"reach": 0.995', b'"reach": "all"'), "reach"),
    ],
)
def test_anything_else_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_summary(data)
