"""Checks of keys: which turn the snake, and which do nothing."""

from collections.abc import Sequence

from tickbench.conformance.check import check
from tickbench.conformance.peer import Peer
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.tracked_player import play, play_with
from tickbench.conformance.verdict import FaultError, NothingShownError

ALL_KEYS = (37, 38, 39, 40)
UNDER_WAY = "the first move may have been under way when the keys came"
OTHER_INTEGERS = (0, 13, 32, 36, 41, -37, 2**40)


@check("A key turns the snake with its next move.", "the next move turns the snake")
def turn(server: ServerUnderTest) -> None:
    player = play(server)
    key = player.key("side")
    player.send_keys([key])
    seen = player.settle()
    has_way = player.has_way([key])
    player.ride(2)
    moves = player.moves[seen:]
    if not moves or not has_way:
        raise NothingShownError("the snake died too early")
    if moves == [player.heading, key]:
        raise NothingShownError(UNDER_WAY)
    if moves[0] != key:
        raise FaultError(f"the snake headed for {player.heading}, key {key}: it moved {moves}")


@check("A key straight back is dropped.")
def turn_back(server: ServerUnderTest) -> None:
    _need_straight(server.enter(), ["back", "back"])


@check("A key of the same direction is dropped.")
def same_direction(server: ServerUnderTest) -> None:
    _need_straight(server.enter(), ["ahead", "ahead"])


@check("Any other bare integer is ignored.")
def other_integers(server: ServerUnderTest) -> None:
    _need_straight(server.enter(), OTHER_INTEGERS)


@check("A key is ignored while one's snake is not in the field.")
def keys_without_snake(server: ServerUnderTest) -> None:
    peer = server.enter()
    for key in ALL_KEYS:
        peer.send(key)
    peer.settle()
    for _ in range(2):
        peer.next("a tick frame")
    # An error may have come at once, or with the tick that looked at the keys.
    if peer.errors:
        raise FaultError(f"keys {list(ALL_KEYS)} without a snake were answered by {peer.errors[0]}")
    _need_straight(peer, (), f"keys {list(ALL_KEYS)}")


def _need_straight(peer: Peer, keys: Sequence[str | int], what: str = "") -> None:
    """Join, press keys that must change nothing, and see the snake go straight on."""
    player = play_with(peer)
    player.send_keys(keys)
    seen = player.settle()
    player.ride(2)
    what = what or f"keys {[player.key(key) for key in keys]}"
    if peer.errors:
        raise FaultError(f"{what} were answered by {peer.errors[0]}")
    if player.died_freely:
        raise FaultError(f"{what} killed a snake that headed for {player.heading} with the cell ahead free")
    if set(player.moves) - {player.heading}:
        raise FaultError(f"{what} turned a snake that headed for {player.heading}: it moved {player.moves}")
    if len(player.moves) == seen:
        raise NothingShownError("the snake died too early")


@check("At most one turn a move, at most two wait; a key is measured against the last that waits.")
def waiting_turns(server: ServerUnderTest) -> None:
    player = play(server)
    sent = [player.key(way) for way in ("side", "other", "back", "other")]
    player.send_keys(sent)
    if player.settle():
        raise NothingShownError("it moved before the keys were taken")
    wanted = [player.key(way) for way in ("side", "back", "back")]
    has_way = player.has_way(wanted)
    player.ride(3)
    if len(player.moves) < 3 or not has_way:
        raise NothingShownError("something was in its way")
    if player.moves == [player.heading, *wanted[:2]]:
        raise NothingShownError(UNDER_WAY)
    if player.moves != wanted:
        raise FaultError(
            f"the snake headed for {player.heading}, keys {sent} between two moves: it moved {player.moves}",
            f"{wanted}: the second key is straight back from the first, and two wait already when the last comes",
        )
