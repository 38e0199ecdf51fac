from collections.abc import Callable

import msgspec
import pytest

from shared.measure.summary import LoadSummary, SlotFigures
from tickbench.compare.runs import ChildRecord, Run, RunIndex
from tickbench.compare.suite import BLOCKS, Suite
from tickbench.machine.quiet import Quiet


def test_a_run_is_judged_in_words(make_run: Callable[..., Run]) -> None:
    assert make_run(1, "gevent").words == "valid"
    assert make_run(1, "gevent", "steal of 7 %").words == "not valid: steal of 7 %"
    failed = make_run(1, "gevent", outcome="failed", reason="the server ended", load=None)
    assert failed.words == "failed: the server ended"


@pytest.mark.parametrize(("kept", "is_short"), [(0, True), (2, True), (3, False), (5, False)])
def test_a_run_with_fewer_than_half_of_its_slots_is_not_trusted(
    summary: LoadSummary, make_run: Callable[..., Run], kept: int, is_short: bool
) -> None:
    slots = SlotFigures(slot_s=2, made=9, kept=kept, thrown_s=0.4, left_out={"steal": 9 - kept})
    run = make_run(1, "gevent", slots_planned=5, load=msgspec.structs.replace(summary, slots=slots))
    assert (run.is_valid, run.is_spoiled) == (not is_short, is_short)
    assert run.is_trusted("tick_lateness_ms.p50") == (not is_short)
    assert run.is_trusted("server.rss_per_connection_bytes")
    assert ("not valid: " in run.words) == is_short
    if kept == 2:
        assert run.words.startswith("not valid: the machine left 2 of the 5 slots that it was to have")


def test_a_server_that_had_to_be_killed_is_said(make_run: Callable[..., Run]) -> None:
    record = ChildRecord(command=[], exit_status=-9, was_killed=True, log_tail=[])
    assert make_run(1, "gevent", server=record).words == (
        "valid, with a warning: the server did not stop when asked to and was killed"
    )


def test_a_run_that_began_on_a_busy_machine_says_so(make_run: Callable[..., Run]) -> None:
    busy = make_run(1, "gevent", quiet=Quiet(is_quiet=False, busy_percent=41.6, waited_s=20.1))
    assert busy.words.endswith("it began with a core 42 % busy, after 20 s of waiting")
    calm = make_run(1, "gevent", quiet=Quiet(is_quiet=True, busy_percent=1.0, waited_s=0.3))
    assert calm.words == "valid"


def test_of_a_run_that_was_made_again_only_the_last_attempt_counts(suite: Suite, make_run: Callable[..., Run]) -> None:
    runs = [make_run(1, "gevent", "steal"), make_run(2, "gevent", attempt=2), make_run(3, "gevent", block=2)]
    index = RunIndex(suite, runs[::-1])
    assert [run.number for run in index.block_runs("gevent")] == [2, 3]
    assert [index.mark(run) for run in runs] == ["superseded", "valid", "valid"]
    assert (index.last(runs[0].key), index.tries(runs[0].key)) == (runs[1], 2)
    assert runs[0].words == "not valid: steal"


def test_second_runs_of_a_block_and_other_parts_are_not_the_arms(suite: Suite, make_run: Callable[..., Run]) -> None:
    runs = [make_run(1, "gevent"), make_run(2, "gevent", again=True), make_run(3, "gevent", part="stall")]
    index = RunIndex(suite, runs)
    assert index.block_runs("gevent") == runs[:1]
    assert index.block_runs("gevent", again=True) == runs[1:2]
    assert index.side_runs("stall", "gevent", runs[2].connections) == runs[2:]
    assert index.counted(BLOCKS) == runs[:2]
