"""Each objective is listed with what the figure was and what became of it, as far as the figure can be trusted."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from shared.measure.histogram import Histogram
from shared.measure.summary import LoadSummary, Validity
from tests.shared.measure.test_summary import full_example
from tickbench.compare.objectives import judge_median, judge_run, status_of
from tickbench.compare.slo import parse_slo
from tickbench.screen import load_table, print_objectives

Tickbench = Callable[..., subprocess.CompletedProcess[str]]
STOLEN = "the hypervisor stole 11.0 % of a measured core (limit 5 %)"


def of(summary: LoadSummary, *reasons: str, spared: tuple[str, ...] = (), reach: float | None = 0.9985) -> LoadSummary:
    validity = Validity.of(list(reasons), [], spared=dict.fromkeys(reasons, spared))
    return msgspec.structs.replace(summary, reach=reach, validity=validity)


def test_each_objective_says_what_it_was_and_whether_it_held(summary: LoadSummary) -> None:
    judged = judge_run(parse_slo("reach>=0.99,reach>=0.999,input_ms.p99<9"), of(summary))
    assert [(each.outcome, each.words) for each in judged] == [
        ("held", "reach is 0.9985, which is >= 0.99"),
        ("broken", "reach is 0.9985, not >= 0.999"),
        ("broken", "input_ms.p99 is unknown, not < 9"),
    ]
    assert status_of(judged) == 4


def test_a_figure_that_was_spared_is_judged_though_the_run_is_not_valid(summary: LoadSummary) -> None:
    judged = judge_run(parse_slo("reach>=0.99,tick_lateness_ms.p99<0.001"), of(summary, STOLEN, spared=("reach",)))
    assert [each.outcome for each in judged] == ["held", "not judged"]
    assert "cannot be trusted" in judged[1].words
    assert status_of(judged) == 3
    assert status_of(judge_run(parse_slo("reach>=0.999"), of(summary, STOLEN, spared=("reach",)))) == 4


def test_a_reason_that_says_nothing_of_what_it_spares_spoils_everything(summary: LoadSummary) -> None:
    assert judge_run(parse_slo("reach>=2"), of(summary, "something new"))[0].outcome == "not judged"
    both = Validity.of([STOLEN, "something new"], [], spared={STOLEN: ["reach"]})
    assert both.spoiled_by("reach") == ["something new"]
    assert both.spoiled_by("tick_lateness_ms.p99") == [STOLEN, "something new"]
    assert Validity(ok=False, reasons=[], warnings=[]).spoiled_by("reach")


def test_what_is_spared_is_named_by_whole_parts_of_a_name() -> None:
    validity = Validity.of([STOLEN], [], spared={STOLEN: ["server.ticks"]})
    assert validity.spoiled_by("server.ticks.count") == []
    assert validity.spoiled_by("server.ticks_came") == [STOLEN]


def test_several_runs_hold_what_the_median_of_those_to_be_trusted_holds(summary: LoadSummary) -> None:
    (objective,) = parse_slo("reach>=0.999")
    loads = [of(summary, reach=reach) for reach in (0.1, 0.999, 1.0)]
    assert judge_median(objective, loads).outcome == "held"
    assert judge_median(objective, [*loads, *[of(summary, STOLEN, reach=0.1)] * 4]).outcome == "held"
    assert judge_median(objective, [loads[0], of(summary, STOLEN, reach=1.0)]).outcome == "broken"
    assert judge_median(objective, [of(summary, STOLEN, reach=1.0)]).outcome == "not judged"
    assert judge_median(objective, []).outcome == "not judged"


def test_of_a_load_run_what_cannot_be_trusted_is_dim(summary: LoadSummary) -> None:
    console = Console(force_terminal=True, width=100)
    with console.capture() as capture:
        console.print(load_table(of(summary, STOLEN, spared=("reach",))))
    dim = "\n".join(line for line in capture.get().splitlines() if "\x1b[2m" in line)
    assert "tick lateness p99" in dim
    assert "reach" not in dim


def test_who_was_cut_off_and_came_back_is_said_where_users_do() -> None:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(load_table(full_example()))
    (line,) = (line for line in capture.get().splitlines() if line.startswith("cut off"))
    assert "3 users, 1 back, 1 gone for good, 1 still away; silence p50 " in line
    assert line.rstrip().endswith("; at most 2 connects a second")


def test_objectives_are_printed_a_line_each_with_the_arm(
    summary: LoadSummary, capsys: pytest.CaptureFixture[str]
) -> None:
    print_objectives(judge_run(parse_slo("reach>=0.99,reach<0.5"), of(summary)), Console(), "gevent:fanout=naive")
    assert capsys.readouterr().out.splitlines() == [
        "objective held: gevent:fanout=naive: reach is 0.9985, which is >= 0.99",
        "objective broken: gevent:fanout=naive: reach is 0.9985, not < 0.5",
    ]


def test_load_ends_with_what_became_of_each_objective(tickbench: Tickbench) -> None:
    done = tickbench("load", "http://127.0.0.1:1", "--duration", "1", "--warm-up", "0", "--slo", "reach>0.1,reach>2")
    assert done.returncode == 4, done.stderr
    held, broken = done.stdout.splitlines()[-2:]
    assert held.startswith("objective held: reach is ")
    assert broken.startswith("objective broken: reach is ")


def test_compare_ends_with_the_objectives_of_each_arm(
    tickbench: Tickbench, suite_file: Callable[..., Path], tmp_path: Path
) -> None:
    done = tickbench("compare", "--suite", suite_file("asyncio", "gevent"), "--out", tmp_path, "--slo", "reach>=0.5")
    assert done.returncode == 0, done.stdout + done.stderr
    for arm in ("asyncio", "gevent"):
        assert f"objective held: {arm}: reach is" in done.stdout


# What one tick decides


def short(summary: LoadSummary, late_us: list[int], *, due_times: int | None, missed: int | None = 0) -> LoadSummary:
    """Return a run of some due times, each of which two players got as late as the list says."""
    lateness = Histogram()
    for us in late_us:
        lateness.record(us, 2)
    frames = msgspec.structs.replace(summary.frames, due_times=due_times, due_times_missed=missed)
    came = None if due_times is None or missed is None else 1 - missed / due_times
    run = of(summary, reach=1.0)
    return msgspec.structs.replace(run, frames=frames, ticks_came=came, tick_lateness_ms=lateness.summary())


@pytest.mark.parametrize(
    ("due_times", "missed", "outcome"),
    [(40, 0, "held"), (40, 1, "not judged"), (40, 2, "broken"), (2000, 1, "held"), (None, None, "broken")],
)
def test_a_single_tick_that_did_not_come_breaks_no_objective(
    summary: LoadSummary, due_times: int | None, missed: int | None, outcome: str
) -> None:
    load = short(summary, [1000] * 40, due_times=due_times, missed=missed)
    (judged,) = judge_run(parse_slo("ticks_came>=0.999"), load)
    assert judged.outcome == outcome
    assert (outcome == "not judged") is (judged.words.endswith("measure longer; >= 0.999 was asked for"))


@pytest.mark.parametrize(
    ("objective", "late", "outcome"),
    [
        ("tick_lateness_ms.p99<25", 0, "held"),
        ("tick_lateness_ms.p99<25", 1, "not judged"),
        ("tick_lateness_ms.p99<25", 2, "broken"),
        ("tick_lateness_ms.max<25", 1, "broken"),
    ],
)
def test_a_single_late_tick_of_a_few_breaks_no_percentile(
    summary: LoadSummary, objective: str, late: int, outcome: str
) -> None:
    load = short(summary, [1000] * (40 - late) + [30_000] * late, due_times=40)
    (judged,) = judge_run(parse_slo(objective), load)
    assert judged.outcome == outcome
    assert status_of([judged]) == {"held": 0, "not judged": 3, "broken": 4}[outcome]


def test_where_no_single_tick_decides_a_late_percentile_is_broken(summary: LoadSummary) -> None:
    load = short(summary, [1000] * 196 + [30_000] * 4, due_times=200)
    assert judge_run(parse_slo("tick_lateness_ms.p99<25"), load)[0].outcome == "broken"
