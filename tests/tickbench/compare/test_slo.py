import msgspec
import pytest

from shared.measure.summary import LoadSummary
from tickbench.compare.slo import Objective, check_figure, complaints, parse_slo, read_figure
from tickbench.errors import InputError


def test_objectives_are_read_and_written_alike() -> None:
    text = "tick_lateness_ms.p99<25,reach>=0.999,connections.closed_early<=0,server.ticks.fanout_ms.p50>1e-3"
    slo = parse_slo(text)
    assert slo[0] == Objective("tick_lateness_ms.p99", "<", 25)
    assert ",".join(map(str, slo)) == text.replace("1e-3", "0.001")
    assert parse_slo(" reach >= 1 ") == [Objective("reach", ">=", 1)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "malformed"),
        ("reach", "malformed"),
        ("reach=1", "malformed"),
        ("reach>=1,", "malformed"),
        ("reach>=1.2.3", "no number"),
        ("tick_lateness_ms.p98<2", "tick_lateness_ms has .*p99"),
        ("lateness<2", "a summary has .*tick_lateness_ms"),
        ("tick_lateness_ms<2", "no number"),
        ("url<2", "no number"),
        ("reach.p50<2", "reach has no parts"),
        ("connections.reasons<1", "no number"),
    ],
)
def test_anything_else_is_refused_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as error:
        parse_slo(text)
    assert "\n" not in str(error.value)


def test_what_a_summary_has_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parse_slo("reach>=0.999")
    monkeypatch.delattr(msgspec.inspect, "type_info")
    assert parse_slo("reach>=0.5"), "a search asks for each of its steps, again and again, while its arms wait"


def test_what_is_not_held_is_said(summary: LoadSummary) -> None:
    held = msgspec.structs.replace(summary, reach=0.9985)
    assert complaints(parse_slo("reach>=0.99,reach<1"), held) == []
    assert complaints(parse_slo("reach>=0.99,reach>=0.999"), held) == ["reach is 0.9985, not >= 0.999"]


@pytest.mark.parametrize(("sign", "holds"), [("<", False), ("<=", True), (">", False), (">=", True)])
def test_a_bound_is_part_of_what_its_sign_says(summary: LoadSummary, sign: str, holds: bool) -> None:
    assert (Objective("reach", sign, 0.5).complaint(msgspec.structs.replace(summary, reach=0.5)) is None) is holds


def test_what_was_not_measured_holds_nothing(summary: LoadSummary) -> None:
    unmeasured = msgspec.structs.replace(summary, input_ms=None, reach=None)
    assert complaints(parse_slo("input_ms.p99<100,reach<2"), unmeasured) == [
        "input_ms.p99 is unknown, not < 100",
        "reach is unknown, not < 2",
    ]


def test_a_figure_is_read_by_its_place(summary: LoadSummary) -> None:
    assert read_figure(summary, "tick_lateness_ms.p99") == summary.tick_lateness_ms.p99
    assert read_figure(summary, "frames.missing") == summary.frames.missing


def test_every_figure_of_the_table_is_one() -> None:
    for figure in ("server.cpu_us_per_frame", "server.rss_per_connection_bytes", "connections.rush_per_second"):
        check_figure(figure)
