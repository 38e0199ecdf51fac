from collections.abc import Callable

from tickbench.compare.results import ChildRecord, Run
from tickbench.machine.quiet import Quiet
from tickbench.verdict import counting


def test_a_run_is_judged_in_words(make_run: Callable[..., Run]) -> None:
    assert counting.validity_words(make_run(1, "gevent")) == "valid"
    assert counting.validity_words(make_run(1, "gevent", "steal of 7 %")) == "not valid: steal of 7 %"
    failed = make_run(1, "gevent", outcome="failed", reason="the server ended", load=None)
    assert counting.validity_words(failed) == "failed: the server ended"


def test_a_server_that_had_to_be_killed_is_said(make_run: Callable[..., Run]) -> None:
    record = ChildRecord(command=[], exit_status=-9, was_killed=True, log_tail=[])
    assert counting.validity_words(make_run(1, "gevent", server=record)) == (
        "valid, with a warning: the server did not stop when asked to and was killed"
    )


def test_a_run_that_began_on_a_busy_machine_says_so(make_run: Callable[..., Run]) -> None:
    busy = make_run(1, "gevent", quiet=Quiet(is_quiet=False, busy_percent=41.6, waited_s=20.1))
    assert counting.validity_words(busy).endswith("it began with a core 42 % busy, after 20 s of waiting")
    calm = make_run(1, "gevent", quiet=Quiet(is_quiet=True, busy_percent=1.0, waited_s=0.3))
    assert counting.validity_words(calm) == "valid"
