"""Checks of keys: which turn the snake, and which do nothing."""

from tickbench.conformance.check import Check
from tickbench.conformance.peer import Peer
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.tracked_player import NothingShownError, join, ride_with, try_often
from tickbench.conformance.verdict import FaultError

ALL_KEYS = (37, 38, 39, 40)
UNDER_WAY = "the first move may have been under way when the keys came"
OTHER_INTEGERS = (0, 13, 32, 36, 41, -37, 2**40)


def check_turn(subject: ServerUnderTest) -> str | None:
    """Turn aside."""
    right = "the next move turns the snake"

    def attempt() -> None:
        rider = join(subject)
        rider.send_keys(["side"])
        seen = rider.settle()
        has_way = rider.has_way([rider.key("side")])
        rider.ride(2)
        moves = rider.moves[seen:]
        if not moves or not has_way:
            raise NothingShownError("the snake died too early")
        if moves == [rider.heading, rider.key("side")]:
            raise NothingShownError(UNDER_WAY)
        if moves[0] != rider.key("side"):
            raise FaultError(f"the snake headed for {rider.heading}, key {rider.key('side')}: it moved {moves}", right)

    try_often(attempt)
    return None


def check_turn_back(subject: ServerUnderTest) -> str | None:
    """Turn straight back."""
    _check_straight(subject, ["back", "back"], "a key straight back is dropped")
    return None


def check_same_direction(subject: ServerUnderTest) -> str | None:
    """Press the key of the direction in which the snake moves."""
    _check_straight(subject, ["ahead", "ahead"], "a key of the same direction is dropped")
    return None


def check_other_integers(subject: ServerUnderTest) -> str | None:
    """Press keys that are no arrows."""
    _check_straight(subject, OTHER_INTEGERS, "any other bare integer is ignored")
    return None


def check_keys_without_snake(subject: ServerUnderTest) -> str | None:
    """Press arrow keys before joining."""
    _check_straight(subject, (), "a key is ignored while one's snake is not in the field", keys_before=ALL_KEYS)
    return None


def _check_straight(
    subject: ServerUnderTest, keys: list[str] | tuple[int, ...], right: str, keys_before: tuple[int, ...] = ()
) -> None:
    """Send keys that must change nothing, and see the snake go straight on."""

    def attempt() -> None:
        peer = subject.enter()
        _press_early(peer, keys_before, right)
        rider = ride_with(peer)
        rider.send_keys(keys)
        seen = rider.settle()
        rider.ride(2)
        what = f"keys {[rider.key(key) for key in keys] or list(keys_before)}"
        if rider.errors:
            raise FaultError(f"{what} were answered by {rider.errors[0]!r}", right)
        if rider.died_freely:
            raise FaultError(f"{what} killed a snake that headed for {rider.heading} with the cell ahead free", right)
        if set(rider.moves) - {rider.heading}:
            raise FaultError(f"{what} turned a snake that headed for {rider.heading}: it moved {rider.moves}", right)
        if len(rider.moves) == seen:
            raise NothingShownError("the snake died too early")

    try_often(attempt)


def _press_early(peer: Peer, keys: tuple[int, ...], right: str) -> None:
    """Press keys before there is a snake; an error may come at once, or with the tick that looks at them."""
    if not keys:
        return
    for key in keys:
        peer.send(key)
    came = [*peer.settle(), *(peer.next(what="a tick frame") for _ in range(2))]
    if errors := [message.text for message in came if message.is_error]:
        raise FaultError(f"keys {list(keys)} without a snake were answered by {errors[0]}", right)


def check_waiting_turns(subject: ServerUnderTest) -> str | None:
    """Send four keys between two moves: two are queued, each compared with the last in the queue."""
    ways = ["side", "other", "back", "other"]

    def attempt() -> None:
        rider = join(subject)
        rider.send_keys(ways)
        if rider.settle():
            raise NothingShownError("it moved before the keys were taken")
        wanted = [rider.key(way) for way in ("side", "back", "back")]
        has_way = rider.has_way(wanted)
        rider.ride(3)
        if len(rider.moves) < 3 or not has_way:
            raise NothingShownError("something was in its way")
        if rider.moves == [rider.heading, *wanted[:2]]:
            raise NothingShownError(UNDER_WAY)
        if rider.moves != wanted:
            sent = [rider.key(way) for way in ways]
            seen = f"the snake headed for {rider.heading}, keys {sent} between two moves: it moved {rider.moves}"
            raise FaultError(
                seen,
                f"{wanted}: the second key is straight back from the first, and two wait already when the last comes",
            )

    try_often(attempt)
    return None


CHECKS = (
    Check("turn", "A key turns the snake with its next move.", check_turn),
    Check("turn-back", "A key straight back is dropped.", check_turn_back),
    Check("same-direction", "A key of the same direction is dropped.", check_same_direction),
    Check("other-integers", "Any other bare integer is ignored.", check_other_integers),
    Check("keys-without-snake", "A key is ignored while one's snake is not in the field.", check_keys_without_snake),
    Check(
        "waiting-turns",
        "At most one turn a move, at most two wait; a key is measured against the last that waits.",
        check_waiting_turns,
    ),
)
