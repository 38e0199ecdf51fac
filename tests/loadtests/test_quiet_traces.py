"""
Twenty runs on a quiet machine, recorded one after the other with none left out: the checks must have no objection.

Each is the ``evidence`` of a summary: both backends, two fan-outs, 50 to 1,000 connections, ten seconds. In some
of them the p50 of a gevent fan-out changes by 15 % from two seconds to the next.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtests.verdict.checks import is_saturated
from loadtests.verdict.findings import LIMITS, Findings
from loadtests.verdict.validity import judge

TRACES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "fixtures" / "quiet_traces.json").read_text())


def test_there_are_twenty_of_them() -> None:
    assert len(TRACES) == len({json.dumps(trace["evidence"]) for trace in TRACES}) == 20


@pytest.mark.parametrize("trace", TRACES, ids=[trace["what"] for trace in TRACES])
def test_a_quiet_run_raises_no_alarm(trace: dict[str, Any]) -> None:
    findings = msgspec.convert(trace["evidence"], Findings)
    verdict = judge(findings)
    assert (verdict.reasons, verdict.warnings) == ([], [])
    assert not is_saturated(findings, LIMITS)
