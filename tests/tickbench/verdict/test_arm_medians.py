import re
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console

from shared.measure.summary import LoadSummary, SlotFigures, Validity
from tickbench.compare.figures import BY_KEY, FIGURES
from tickbench.compare.results import read_results
from tickbench.compare.runs import Basis, Run, RunIndex
from tickbench.compare.suite import Suite
from tickbench.report.terminal import arm_table
from tickbench.verdict.arm_medians import cell

REACH = next(figure for figure in FIGURES if figure.title == "reach")


def with_lateness(run: Run, p50: float) -> Run:
    load = run.load
    assert load is not None
    lateness = msgspec.structs.replace(load.tick_lateness_ms, p50=p50)
    return msgspec.structs.replace(run, load=msgspec.structs.replace(load, tick_lateness_ms=lateness))


def test_a_cell_is_the_median_with_its_range(make_run: Callable[..., Run]) -> None:
    runs = [
        with_lateness(make_run(number, "gevent", block=number), p50)
        for number, p50 in enumerate([3.0, 1.0, 2.5], start=1)
    ]
    found = cell(BY_KEY["tick_lateness_ms.p50"], runs)
    assert (found.median, found.range) == ("2.50", "1.00\N{EN DASH}3.00")


def test_only_valid_runs_count_where_there_is_one(make_run: Callable[..., Run]) -> None:
    runs = [make_run(1, "gevent", "steal"), make_run(2, "gevent")]
    assert Basis.of(runs, "reach").loads == [runs[1].load]
    assert not Basis.of(runs, "reach").is_doubtful


def test_of_a_run_that_is_not_valid_the_figures_count_that_its_reasons_spared(make_run: Callable[..., Run]) -> None:
    stolen = spared(make_run(1, "gevent", "steal"), "server.rss_per_connection_bytes", "reach")
    assert cell(BY_KEY["tick_lateness_ms.p99"], [stolen]).is_doubtful
    assert not cell(BY_KEY["server.rss_per_connection_bytes"], [stolen]).is_doubtful
    valid = make_run(2, "gevent", block=2)
    assert Basis.of([stolen, valid], "reach").loads == [stolen.load, valid.load]
    assert Basis.of([stolen, valid], "tick_lateness_ms.p50").loads == [valid.load]


def spared(run: Run, *figures: str) -> Run:
    assert run.load is not None
    reasons = run.load.validity.reasons
    validity = Validity.of(reasons, [], spared=dict.fromkeys(reasons, figures))
    return msgspec.structs.replace(run, load=msgspec.structs.replace(run.load, validity=validity))


def shown(index: RunIndex) -> str:
    console = Console(width=80, force_terminal=True)
    with console.capture() as table:
        console.print(arm_table(index))
    return table.get()


def test_how_many_slots_were_left_out_is_shown_where_there_are_slots(
    suite: Suite, make_run: Callable[..., Run], summary: LoadSummary
) -> None:
    slots = SlotFigures(slot_s=1, made=16, kept=14, thrown_s=0.4)
    in_slots = make_run(1, "gevent", load=msgspec.structs.replace(summary, slots=slots))
    whole = make_run(2, "asyncio:fanout=naive")
    assert re.search(r"slots left out, % +- +12.5", shown(RunIndex(suite, [in_slots, whole])))
    assert "slots" not in shown(RunIndex(suite, [make_run(1, "gevent"), whole]))


def test_an_arm_without_a_valid_run_is_shown_and_marked(folder: Path) -> None:
    index = read_results(folder).index
    assert index.lacking() == []
    text = shown(index)
    assert re.search(r"valid runs +1 of 2 +0 of 2", text)
    assert re.search(r"connections +300 +\x1b\[2m300", text), "dim"


def test_an_arm_without_a_finished_run_has_no_figures(suite: Suite, make_run: Callable[..., Run]) -> None:
    failed = make_run(1, "gevent", outcome="failed", reason="it died", load=None)
    index = RunIndex(suite, [failed, make_run(2, "asyncio:fanout=naive")])
    assert index.lacking() == ["gevent"]
    cells = [cell(figure, index.block_runs("gevent")) for figure in FIGURES]
    assert {each.median for each in cells} == {"-"}
    assert not any(each.is_doubtful for each in cells)


def test_reach_is_never_rounded_up_to_all() -> None:
    assert REACH.words(99.9999) == "99.99"
    assert REACH.words(100.0) == "100.00"


def test_a_figure_that_a_run_does_not_have_is_left_out(summary: LoadSummary) -> None:
    unknown = msgspec.structs.replace(summary, reach=None)
    assert REACH.read(unknown) is None
