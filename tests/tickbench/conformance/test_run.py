import socket
from collections.abc import Callable, Iterator

import pytest

from shared.wire.target import Target
from tickbench.conformance.check import Check, raise_flaws
from tickbench.conformance.checks.limits_and_totals import alive
from tickbench.conformance.peer import ClosedError, EndedError, SilenceError
from tickbench.conformance.run import examine
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.table import CHECKS
from tickbench.conformance.verdict import FaultError, NotTriedError


@pytest.fixture
def server() -> Iterator[ServerUnderTest]:
    """A server that is there, and refuses to say a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield ServerUnderTest(Target("127.0.0.1", server.getsockname()[1], "/connect"), patience_s=0.05)


def raising(error: Exception) -> Callable[[ServerUnderTest], None]:
    def run(_: ServerUnderTest) -> None:
        raise error

    return run


OUTCOMES = [
    (lambda _: None, "ok", None),
    (lambda _: "it is slow", "note", "it is slow"),
    (raising(FaultError("seen", "right")), "fault", "seen"),
    (raising(NotTriedError("full")), "not tried", "full"),
    (raising(ClosedError(b"\x03\xf0why")), "fault", "the server closed with 1008 (why)"),
    (raising(ClosedError(b"")), "fault", "the server closed with no code"),
    (raising(EndedError("over")), "fault", "over"),
    (raising(SilenceError("no answer")), "fault", "no answer"),
    (raising(ConnectionResetError("reset")), "fault", "reset"),
    (raising(KeyError("x")), "fault", "what came was such that this check could not go on: KeyError('x')"),
]


@pytest.mark.parametrize(("run", "level", "seen"), OUTCOMES)
def test_what_a_check_finds(
    server: ServerUnderTest, run: Callable[[ServerUnderTest], str | None], level: str, seen: str | None
) -> None:
    told: list[str] = []
    checks = [
        Check("first", "It is so.", "measurement", run),
        Check("second", "It is so, too.", "hardening", lambda _: None),
    ]
    found = examine(server, checks, lambda result: told.append(result.name))
    assert (found.checks[0].level, found.checks[0].seen) == (level, seen)
    assert found.checks[1].level == "ok"
    assert [result.grade for result in found.checks] == ["measurement", "hardening"]
    assert found.is_fit is (False if level in ("fault", "not tried") else None)
    assert told == ["first", "second"]


def test_an_interrupt_ends_it(server: ServerUnderTest) -> None:
    def interrupt(_: ServerUnderTest) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examine(server, [Check("first", "It is so.", "measurement", interrupt)], lambda _: None)


def test_who_is_gone_is_asked_no_more(server: ServerUnderTest) -> None:
    def leave(of: ServerUnderTest) -> None:
        of.gone = "nobody listens any more"
        raise NotTriedError(of.gone)

    checks = [
        Check("first", "It is so.", "measurement", leave),
        Check("second", "It is so, too.", "hardening", lambda _: None),
        alive,
    ]
    levels = [result.level for result in examine(server, checks, lambda _: None).checks]
    assert levels == ["not tried", "not tried", "fault"]


def test_three_flaws_are_told_and_the_others_counted() -> None:
    raise_flaws([None, None], "right")
    with pytest.raises(FaultError, match=r"^a; b; c; and 2 more$"):
        raise_flaws(["a", None, "b", "c", "d", "e"], "right")


def test_the_table_names_each_check_once_with_a_sentence() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    for check in CHECKS:
        assert check.name == check.name.lower().replace(" ", "-").replace("_", "-")
        assert check.promise.endswith(".")
    assert CHECKS[-1] is alive
