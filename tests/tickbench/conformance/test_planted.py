"""Each planted fault is named by the check that is meant for it, and no unrelated check complains."""

from typing import NamedTuple

import pytest

from tests.support.server import RunningServer, run_server
from tickbench.conformance.checks import limits_and_totals, pings
from tickbench.conformance.run import examine
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.table import CHECKS
from tickbench.conformance.verdict import Conformance
from tickbench.target import target_of

FLAGS = (
    *("--fanout", "library", "--tick-rate", "200", "--tick-budget", "0"),
    *("--new-player-limit", "1.5", "--handshake-limit", "1"),
)
PATIENCE_S = 1.5
ERRORS = frozenset(
    {"new-player-first", "bad-names", "unknown-command", "wrong-arguments", "second-new-player", "arguments"}
)
"""Checks of whatever is answered by an error."""
TAKEN_FOR_ANSWERS = frozenset(
    {"welcome-frame", "not-json", "unknown-command", "wrong-arguments", "second-new-player", "maximum-players"}
)
"""Checks to which a message that nobody asked for looks like an answer."""

TURNS = frozenset({"waiting-turns", "turn", "turn-back", "same-direction", "other-integers"})
"""Checks in which a snake is to turn."""


class Case(NamedTuple):
    """A planted fault."""

    meant: str
    """The check that is to name it."""
    related: frozenset[str] = frozenset()
    """Checks of sentences that the same fault breaks, too."""
    flags: tuple[str, ...] = ()
    """That plant it, without a line of code."""


CASES: dict[str, Case] = {
    # Wrong bytes
    "white space": Case("compact-json"),
    "n repeats": Case("tick-numbers", frozenset({"world-current", "living-players"})),
    "n jumps": Case("tick-numbers", frozenset({"due-grid", "n-goes-on"})),
    "n starts anew": Case("n-goes-on"),
    "idle ticks are seldom": Case("every-tick"),
    "due_us off the grid": Case("due-grid", frozenset({"n-goes-on"})),
    "sent before due": Case("sent-us"),
    "a short row": Case("world", frozenset({"arguments", "world-current"})),
    # Wrong welcomes
    "world first": Case("handshake-first", frozenset({"welcome-frame"})),
    "a greeting": Case("commands", TAKEN_FOR_ANSWERS),
    "one of two lives": Case("living-players"),
    # Wrong refusals
    "binary kills": Case("binary", frozenset({"alive"})),
    "errors without words": Case("not-json", ERRORS),
    # Wrong timing and semantics
    "pongs with ticks": Case("pong"),
    "nobody turns": Case("turn", TURNS),
    "dropped keys take places": Case("turn-back", TURNS - {"turn", "other-integers"}),
    "keys wait for the birth": Case("keys-without-snake"),
    "many turns wait": Case("waiting-turns"),
    "turns straight back": Case("turn-back", frozenset({"waiting-turns", "same-direction"})),
    "silence is forgiven": Case("new-player-limit", flags=("--new-player-limit", "60")),
    "half a handshake is forgiven": Case("half-handshake", flags=("--handshake-limit", "60")),
}


def look_at(running: RunningServer, names: tuple[str, ...] = ()) -> Conformance:
    """Make all checks, or those of these names."""
    checks = [check for check in CHECKS if not names or check.name in names]
    return examine(ServerUnderTest(target_of(running.url), patience_s=PATIENCE_S), checks, lambda _: None)


AT_ONCE: dict[str, dict[str, Case]] = {
    "of messages": {
        "binary is taken": Case("binary"),
        "unknown is ignored": Case("unknown-command"),
        "1011 for a flood": Case("flood"),
        "pongs of integers": Case("pong-echo"),
        "leavers live": Case("leaver-dies"),
        "join twice": Case("join-again"),
        "no reset": Case("new-round"),
        "newcomers are told to all": Case("personal"),
    },
    "of frames": {
        "tick last": Case("tick-first"),
        "own bytes for some": Case("same-bytes"),
        "an argument too many": Case("arguments"),
        "welcome in parts": Case("welcome-frame"),
        "nobody lives": Case("living-players"),
        "an old world": Case("world-current"),
        "a ping behind a close counts": Case("close-echo", frozenset({"close-code"})),
    },
    "of games": {
        "milliseconds": Case("sent-us", frozenset({"due-grid", "n-goes-on"})),
        "keys are refused": Case("other-integers"),
        "no top scores": Case("game-over"),
        "joins are told elsewhere": Case("rooms"),
    },
    "others": {
        "no healthz": Case("healthz"),
        "404 for every method": Case("method"),
        "any room name": Case("room-name", frozenset({"refusal-order"})),
        "no origin is good": Case("own-origin"),
        "main is another": Case("default-room"),
        "pongs in seconds": Case("pong-time"),
        "dead keys are refused": Case("keys-without-snake"),
        "1011 for protocol errors": Case(
            "reserved-bits",
            frozenset({"reserved-opcodes", "control-frames", "continuations", "close-code", "unmasked"}),
        ),
        "a small message is too large": Case("large", flags=("--max-message", "4000")),
        "thirty messages are too many": Case("lively", flags=("--max-messages", "30")),
    },
    "too lenient, mostly": {
        "control characters": Case("names"),
        "1002 for binary": Case("binary"),
        "1011 for UTF-8": Case("invalid-utf8"),
        "new_player again": Case("second-new-player"),
        "1000 for every close": Case("close-echo", frozenset({"close-code"})),
        "empty pongs": Case("control-ping"),
        "upgrade anywhere": Case("unknown-path-upgrade"),
        "426 without version": Case("upgrade-required"),
        "large is taken": Case("too-large", flags=("--max-message", "100000")),
        "a flood is taken": Case("flood", flags=("--max-messages", "1000")),
        "all faults are forgiven": Case("third-fault", flags=("--max-faults", "100")),
        "all origins are good": Case("foreign-origin", flags=("--origin", "*")),
    },
}
"""So far from each other that one server can have all of a group."""


@pytest.mark.parametrize("plant", CASES)
def test_a_planted_fault_is_named(plant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    meant, related, flags = CASES[plant]
    monkeypatch.setattr(limits_and_totals, "NEW_PLAYER_LIMIT_S", 0.0)
    monkeypatch.setattr(limits_and_totals, "HALF_HANDSHAKE_S", 0.0)
    monkeypatch.setattr(pings, "BUSY_S", 0.0)
    with run_server("asyncio", *FLAGS, *flags, plant="nothing" if flags else plant) as running:
        found = look_at(running)
        if "alive" in related:
            assert running.wait() == 1  # as it was told to
    faults = {result.name: result.seen for result in found.checks if result.level == "fault"}
    assert meant in faults
    assert set(faults) <= {meant, *related}, faults


@pytest.mark.parametrize("group", AT_ONCE)
def test_faults_at_once_are_told_apart(group: str) -> None:
    cases = AT_ONCE[group]
    plants = "+".join(name for name, case in cases.items() if not case.flags)
    flags = [flag for case in cases.values() for flag in case.flags]
    with run_server("asyncio", *FLAGS, *flags, plant=plants) as running:
        found = look_at(running)
    faults = {result.name: result.seen for result in found.checks if result.level == "fault"}
    assert {case.meant for case in cases.values()} <= set(faults)
    assert set(faults) <= {name for case in cases.values() for name in (case.meant, *case.related)}, faults


def test_a_refusal_for_lack_of_room_says_when_to_come_again() -> None:
    with run_server("asyncio", "--max-connections", "1", plant="busy for ever") as running:
        running.enter("main")
        found = look_at(running, ("upgrade", "busy"))
    assert [result.level for result in found.checks] == ["not tried", "fault"]


def test_a_move_between_two_keys_is_no_third_turn_that_waits() -> None:
    with run_server("asyncio", plant="moves between keys, twice") as running:
        [found] = look_at(running, ("waiting-turns",)).checks
    assert (found.level, found.seen) == ("ok", None)
