"""
Make of a results folder one as the first tickbench with its schemas wrote it: the same values, only the fields of then.

A schema keeps its number as long as fields are added only, each with a default. So whoever takes one away or renames
one fails here, and whoever adds one without a default finds that a folder of before does not open.
"""

import json
from pathlib import Path
from typing import Any

_FIELDS = {
    # tickbench.suite/1, tickbench.environment/1 and tickbench.run/1 of 2026-11-21.
    "SuiteRecord": "schema id started_at suite:Suite",
    "Suite": "name arms scenario connections duration_s warm_up_s repeats seed description server",
    "Environment": "schema recorded_at python:PythonBuild machine:Machine packages variables git_commit git_is_clean",
    "PythonBuild": "version implementation build compiler configured_with gc_thresholds has_gil is_debug_build",
    "Machine": "system architecture cpu_model cores usable_cores pinning:Pinning governors clock_source memory_bytes"
    " descriptor_limits ephemeral_ports load_average steal_percent boot_id",
    "Pinning": "server generator warning",
    "Run": "schema number block arm outcome reason started_at took_s cpus_server cpus_generator server:ChildRecord"
    " generator:ChildRecord server_settings load:LoadSummary",
    "ChildRecord": "command exit_status was_killed log_tail",
    "LoadSummary": "schema url scenario started_at duration_s tick_rate_hz connections:ConnectionCounts"
    " frames:FrameCounts reach tick_lateness_ms:Histogram delivery_ms:Histogram interval_error_ms:Histogram"
    " pdv_ms:Histogram jitter_rfc3550_ms:Jitter ping_rtt_ms:Histogram input_ms:Histogram groups"
    " generator:GeneratorFigures server:ServerFigures machine:MachineFigures validity:Validity",
    "ConnectionCounts": "requested connected refused timed_out closed_early connect_ms:Histogram",
    "Histogram": "count mean p50 p90 p99 p999 max early clipped hdr",
    "Jitter": "p50 p99 max",
    "FrameCounts": "expected received missing duplicate out_of_order coalesced slow_parse per_second bytes",
    "GeneratorFigures": "timestamps workers cpu_percent us_per_frame loop_lag_ms:Histogram saturated",
    "ServerFigures": "cpu_percent rss_bytes rss_per_connection_bytes cpu_us_per_frame ticks:ServerTicks skipped_ticks"
    " slow_skips slow_closed",
    "ServerTicks": "count skipped_ticks overruns start_lateness_ms:Histogram compute_ms:Histogram fanout_ms:Histogram",
    "MachineFigures": "steal_percent foreign_cpu_percent cpus_server cpus_generator",
    "Validity": "ok reasons warnings",
    # tickbench.results/1 of 2026-11-26.
    "Document": "schema id started_at resumed_at is_complete suite:SuiteOfDocument environment:Environment"
    " comparisons:Comparisons decision:Decision sides:SideLine curves:CurvePoint runs:RunLine",
    "SuiteOfDocument": "name arms scenario connections duration_s warm_up_s repeats seed description server load again"
    " compare verdicts quiet_wait_s max_attempts sides searches commands",
    "Comparisons": "primary:Comparison suppressed floor:Comparison others:Comparison work:Work searches:SearchResult",
    "Comparison": "figure title first other ratio:Ratio verdict:Verdict",
    "Ratio": "blocks ratio low high confidence p_value",
    "Verdict": "kind winner ratio:Ratio adjusted_p_value",
    "Work": "steps different unknown",
    "SearchResult": "search arm block capacity:Capacity runs took_s",
    "Capacity": "connections failed_at limited_by confirmations",
    "Decision": "arms styles questions:Question",
    "Question": "title unit source meaning answers:Answer",
    "Answer": "text detail is_doubtful",
    "SideLine": "side arm connections runs is_doubtful figures",
    "CurvePoint": "search arm block connections outcome words lateness_p50_ms lateness_p99_ms cpu_percent",
    "RunLine": "number part block arm again attempt scenario connections mark words started_at took_s file figures",
}
"""The names of each type's fields; behind a colon the type of a field, or of what is in its list, where it has one."""


def make_first(folder: Path) -> None:
    """Write the files of a results folder anew, as they were at first; those that are made of others go."""
    _rewrite(folder / "suite.json", "SuiteRecord")
    _rewrite(folder / "environment.json", "Environment")
    for run in (folder / "runs").iterdir():
        _rewrite(run, "Run")
    if (folder / "results.json").exists():
        _rewrite(folder / "results.json", "Document")
    for name in ("report.html", "report.md", "runs.csv"):
        (folder / name).unlink(missing_ok=True)


def _rewrite(file: Path, kind: str) -> None:
    file.write_text(json.dumps(_as_at_first(json.loads(file.read_text("utf-8")), kind)), "utf-8")


def _as_at_first(value: Any, kind: str) -> Any:
    """Return plain objects with the fields of then; raise KeyError if one is no longer written."""
    if not kind or value is None:
        return value
    if isinstance(value, list):
        return [_as_at_first(each, kind) for each in value]
    fields = (field.partition(":") for field in _FIELDS[kind].split())
    return {name: _as_at_first(value[name], its) for name, _, its in fields}
