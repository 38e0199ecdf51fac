from collections.abc import Callable
from pathlib import Path

import msgspec

from shared.measure.summary import LoadSummary, Validity
from tickbench.compare.figures import FIGURES
from tickbench.compare.results import Results, Run, read_results
from tickbench.verdict.arm_medians import arm_rows, block_runs, counted, is_doubtful

REACH = next(figure for figure in FIGURES if figure.title == "reach")


def with_runs(folder: Path, runs: list[Run]) -> Results:
    return msgspec.structs.replace(read_results(folder), runs=runs)


def with_lateness(run: Run, p50: float) -> Run:
    load = run.load
    assert load is not None
    lateness = msgspec.structs.replace(load.tick_lateness_ms, p50=p50)
    return msgspec.structs.replace(run, load=msgspec.structs.replace(load, tick_lateness_ms=lateness))


def test_a_cell_is_the_median_with_its_range(folder: Path, make_run: Callable[..., Run]) -> None:
    runs = [
        with_lateness(make_run(number, "gevent", block=number), p50)
        for number, p50 in enumerate([3.0, 1.0, 2.5], start=1)
    ]
    row = arm_rows(with_runs(folder, runs))[1]
    cell = row.cells[[figure.title for figure in FIGURES].index("tick lateness p50")]
    assert (cell.median, cell.range) == ("2.50", "1.00\N{EN DASH}3.00")


def test_only_valid_runs_count_where_there_is_one(make_run: Callable[..., Run]) -> None:
    runs = [make_run(1, "gevent", "steal"), make_run(2, "gevent")]
    assert counted(runs, "reach") == [runs[1].load]
    assert not is_doubtful(runs, "reach")


def test_of_a_run_that_is_not_valid_the_figures_count_that_its_reasons_spared(
    folder: Path, make_run: Callable[..., Run]
) -> None:
    stolen = spared(make_run(1, "gevent", "steal"), "server.rss_per_connection_bytes", "reach")
    row = arm_rows(with_runs(folder, [stolen]))[1]
    by_key = {figure.key: cell for figure, cell in zip(FIGURES, row.cells, strict=True)}
    assert by_key["tick_lateness_ms.p99"].is_doubtful
    assert not by_key["server.rss_per_connection_bytes"].is_doubtful
    assert row.runs_words == "0 of 2"
    valid = make_run(2, "gevent", block=2)
    assert counted([stolen, valid], "reach") == [stolen.load, valid.load]
    assert counted([stolen, valid], "tick_lateness_ms.p50") == [valid.load]


def spared(run: Run, *figures: str) -> Run:
    assert run.load is not None
    reasons = run.load.validity.reasons
    validity = Validity.of(reasons, [], spared=dict.fromkeys(reasons, figures))
    return msgspec.structs.replace(run, load=msgspec.structs.replace(run.load, validity=validity))


def test_an_arm_without_a_valid_run_is_shown_and_marked(folder: Path) -> None:
    first, second = arm_rows(read_results(folder))
    assert (first.arm, first.runs_words, first.is_doubtful) == ("asyncio:fanout=naive", "1 of 2", False)
    assert (second.arm, second.runs_words, second.is_doubtful) == ("gevent", "0 of 2", True)
    assert second.cells[0].median == "300"


def test_an_arm_without_a_finished_run_has_no_figures(folder: Path, make_run: Callable[..., Run]) -> None:
    failed = make_run(1, "gevent", outcome="failed", reason="it died", load=None)
    row = arm_rows(with_runs(folder, [failed]))[1]
    assert {cell.median for cell in row.cells} == {"-"}
    assert not row.is_doubtful


def test_reach_is_never_rounded_up_to_all() -> None:
    assert REACH.words(99.9999) == "99.99"
    assert REACH.words(100.0) == "100.00"


def test_a_figure_that_a_run_does_not_have_is_left_out(summary: LoadSummary) -> None:
    unknown = msgspec.structs.replace(summary, reach=None)
    assert REACH.read(unknown) is None


def test_of_a_run_that_was_made_again_only_the_last_attempt_counts(make_run: Callable[..., Run]) -> None:
    runs = [make_run(1, "gevent", "steal"), make_run(2, "gevent", attempt=2), make_run(3, "gevent", block=2)]
    assert [run.number for run in block_runs("gevent", runs)] == [2, 3]


def test_second_runs_of_a_block_and_other_parts_are_not_the_arms(make_run: Callable[..., Run]) -> None:
    runs = [make_run(1, "gevent"), make_run(2, "gevent", again=True), make_run(3, "gevent", part="stall")]
    assert [run.number for run in block_runs("gevent", runs)] == [1]
    assert [run.number for run in block_runs("gevent", runs, again=True)] == [2]
