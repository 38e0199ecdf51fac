"""A summary survives the way to a file and back; anything else is refused in one sentence."""

from typing import Any

import msgspec
import pytest

from shared.measure.histogram import Histogram
from shared.measure.machine_figures import CoreGapFigures, MachineFigures
from shared.measure.summary import (
    ClockFigures,
    ConnectionCounts,
    FrameCounts,
    GeneratorFigures,
    GroupFigures,
    JitterSummary,
    LoadSummary,
    ReturnFigures,
    ServerFigures,
    ServerTicks,
    SlotFigures,
    StageFigures,
    StepDigests,
    Validity,
    WorkerFigures,
    read_summary,
)


def lateness() -> Histogram:
    lateness = Histogram()
    lateness.record(1234)
    lateness.record(-5)
    return lateness


def example(**more: Any) -> LoadSummary:
    """Return the summary of a run that measured no more than every run does."""
    summary = lateness().summary()
    return LoadSummary(
        url="ws://127.0.0.1:8000/connect",
        scenario="steady",
        started_at="2026-01-01T00:00:00.000000+00:00",
        duration_s=10.0,
        tick_rate_hz=20.0,
        connections=counted(),
        frames=frames(),
        reach=0.995,
        tick_lateness_ms=summary,
        delivery_ms=summary,
        interval_error_ms=summary,
        pdv_ms=summary,
        jitter_rfc3550_ms=JitterSummary.of(lateness()),
        ping_rtt_ms=Histogram().summary(),
        generator=GeneratorFigures(
            timestamps="kernel", workers=1, cpu_percent=4.5, us_per_frame=9.0, loop_lag_ms=summary, saturated=False
        ),
        server=ServerFigures(),
        machine=MachineFigures(cpus_server=[0], cpus_generator=[1]),
        validity=Validity.of(["steal was 9 % on core 0"], []),
        **more,
    )


def counted(**more: Any) -> ConnectionCounts:
    summary = lateness().summary()
    return ConnectionCounts(
        requested=3, connected=2, refused=1, timed_out=0, closed_early=0, connect_ms=summary, **more
    )


def frames() -> FrameCounts:
    return FrameCounts(
        expected=400,
        received=398,
        missing=2,
        duplicate=1,
        out_of_order=1,
        coalesced=0,
        slow_parse=0,
        per_second=39.8,
        bytes=171140,
    )


def full_example() -> LoadSummary:
    """Return the summary of a run that measured all there is."""
    summary = lateness().summary()
    connections = counted(
        close_codes={"1013": 1},
        reasons={"refused": {"HTTP status 503": 1}},
        errors={"a masked frame": 1},
        told={"Maximum players reached": 7},
        rush_per_second=1234.5,
    )
    group = GroupFigures(
        connections=connections,
        frames=frames(),
        reach=None,
        tick_lateness_ms=summary,
        delivery_ms=summary,
        interval_error_ms=Histogram().summary(),
    )
    stage = StageFigures(
        start_s=0.0,
        duration_s=5.0,
        connections=2,
        received=199,
        missing=1,
        reach=0.995,
        tick_lateness_ms=summary,
        interval_error_ms=summary,
    )
    worker = WorkerFigures(
        worker=0,
        connected=2,
        received=398,
        cpu_percent=4.5,
        cpus=[1],
        loop_lag_ms=summary,
        tick_lateness_ms=summary,
        host="far",
        clock=ClockFigures(source="pings", uncertainty_ms=0.2, step_ms=0.0),
    )
    ticks = ServerTicks(
        count=200, skipped_ticks=1, overruns=2, start_lateness_ms=summary, compute_ms=summary, fanout_ms=summary
    )
    small = example(
        input_ms=summary,
        groups={"stalled": group},
        stages=[stage, stage],
        slots=SlotFigures(slot_s=1.0, made=11, kept=10, thrown_s=0.4, left_out={"the hypervisor stole": 1}),
        steps=StepDigests(first_n=1, crc32="0123abcd - 00000000"),
        returns=ReturnFigures(
            cut=3,
            back=1,
            gone=1,
            away=1,
            silence_ms=summary,
            most_connects_per_second=2,
            missing=3,
            rooms_spared=1,
            rooms_spared_missed=0,
            rooms_spared_skipped=1,
        ),
        clock=ClockFigures(source="pings", uncertainty_ms=0.2, step_ms=0.0),
        evidence={"period_ms": 50.0, "concurrency": None, "stretch_p50_us": [1, 2]},
    )
    gap = CoreGapFigures(cpu=0, scheduling="fifo", max_gap_ms=1.5, lateness_ms=summary)
    return msgspec.structs.replace(
        small,
        connections=connections,
        generator=msgspec.structs.replace(
            small.generator, rss_bytes=10**8, rss_per_connection_bytes=2048.5, parts=[worker]
        ),
        server=ServerFigures(cpu_percent=3.0, rss_bytes=10**8, ticks=ticks, skipped_ticks=1, slow_skips=0),
        machine=msgspec.structs.replace(small.machine, steal_percent=0.1, core_gaps=[gap]),
    )


@pytest.mark.parametrize("summary", [example(), full_example()], ids=["small", "full"])
def test_a_summary_comes_back_as_it_was_written(summary: LoadSummary) -> None:
    written = summary.to_json()
    assert written.endswith(b"}\n")
    assert read_summary(written) == summary
    assert read_summary(written).to_json() == written


def test_the_histograms_come_back_with_all_their_counters() -> None:
    again = read_summary(full_example().to_json())
    for found in (again.tick_lateness_ms, again.stages[1].tick_lateness_ms, again.generator.parts[0].loop_lag_ms):
        assert Histogram.from_summary(found).summary() == lateness().summary()


def test_what_came_later_need_not_be_there() -> None:
    written = msgspec.json.decode(full_example().to_json())
    for place, names in (
        (written, ("input_ms", "groups", "stages", "slots", "steps", "returns", "clock", "evidence")),
        (written["validity"], ("machine", "generator")),
        (written["connections"], ("rush_per_second", "close_codes", "reasons", "errors", "told")),
        (written["generator"], ("rss_bytes", "rss_per_connection_bytes", "memory", "parts")),
        (written["machine"], ("core_gaps", "steal_percent")),
        (written, ("server",)),
    ):
        for name in names:
            del place[name]
    written["server"] = {}
    assert read_summary(msgspec.json.encode(written)) == example()


def test_the_verdict_is_ok_without_a_reason() -> None:
    assert Validity.of([], ["small"]).ok
    assert not Validity.of(["large"], []).ok


def test_the_keys_are_those_of_the_schema() -> None:
    written = msgspec.json.decode(example().to_json())
    assert written["schema"] == "tickbench.load/1"
    assert list(written["tick_lateness_ms"]) == [
        "count", "mean", "p50", "p90", "p99", "p999", "max", "early", "clipped", "hdr",
    ]  # fmt: skip
    assert list(written["jitter_rfc3550_ms"]) == ["p50", "p99", "max"]
    assert written["input_ms"] is None
    assert written["groups"] == {}
    assert written["validity"] == {
        "ok": False, "reasons": ["steal was 9 % on core 0"], "warnings": [],
        "machine": [], "generator": [], "spared": {},
    }  # fmt: skip


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
        (full_example().to_json().replace(b'"source": "pings"', b'"source": "sundial"'), "sundial"),
        (full_example().to_json().replace(b'"start_s"', b'"starts"'), r"`start_s` - at `\$.stages\[0\]`"),
        (full_example().to_json().replace(b'"scheduling": "fifo"', b'"scheduling": 1'), "core_gaps"),
    ],
)
def test_anything_else_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_summary(data)
