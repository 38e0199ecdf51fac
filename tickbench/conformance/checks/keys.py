"""Checks of keys: which turn the snake, and which do nothing."""

from collections.abc import Sequence

from tickbench.conformance.check import check
from tickbench.conformance.field import BACK
from tickbench.conformance.peer import Peer
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.tracked_player import play, play_with
from tickbench.conformance.verdict import FaultError, NothingShownError

ALL_KEYS = (37, 38, 39, 40)
UNDER_WAY = "the first move may have been under way when the keys came"
OTHER_INTEGERS = (0, 13, 32, 36, 41, -37, 2**40, 2**63)
BEHIND_KEYS = 2
"""The t of a ping that tells when the keys before it were taken."""
TRIES_OF_THREE = 3
"""
How often in a row three turns must be made before they count as three that waited: a move between two of the keys looks
the same, and a pong does not rule it out (a process in front of the game may answer it).
"""


@check("A key turns the snake with its next move.", "the next move turns the snake", grade="interoperability")
def turn(server: ServerUnderTest) -> None:
    _need_turn(server.enter(), ())


@check("A key straight back is dropped.", grade="interoperability")
def turn_back(server: ServerUnderTest) -> None:
    _need_turn(server.enter(), ["back", "back"])


@check("A key of the same direction is dropped.", grade="interoperability")
def same_direction(server: ServerUnderTest) -> None:
    _need_turn(server.enter(), ["ahead", "ahead"])


@check("Any other bare integer is ignored.", grade="interoperability")
def other_integers(server: ServerUnderTest) -> None:
    _need_turn(server.enter(), OTHER_INTEGERS)


def _need_turn(peer: Peer, dropped: Sequence[str | int]) -> None:
    """Join, press keys that must change nothing and one that turns, and see the snake turn with its next move."""
    player = play_with(peer)
    side = player.key("side")
    player.send_keys([*dropped, side])
    seen = player.settle()
    has_way = player.has_way([side, side])
    player.ride(2)
    moves = player.moves[seen:]
    what = f"keys {[*map(player.key, dropped), side]}"
    if peer.errors:
        raise FaultError(f"{what} were answered by {peer.errors[0]}")
    if dropped and has_way and not moves and player.died_freely:
        raise FaultError(f"{what} killed a snake that headed for {player.heading} with the cell ahead free")
    if len(moves) < 2 or not has_way:
        raise NothingShownError("the snake died too early")
    if moves == [player.heading, side]:
        raise NothingShownError(UNDER_WAY)
    if moves != [side, side]:
        raise FaultError(f"the snake headed for {player.heading}, {what}: it moved {moves}")


@check("A key is ignored while one's snake is not in the field.", grade="interoperability")
def keys_without_snake(server: ServerUnderTest) -> None:
    """Press keys with no snake, and again between a join and the birth."""
    peer = server.enter()
    peer.send(*ALL_KEYS)
    peer.settle()
    for _ in range(2):
        peer.next("a tick frame")
    # An error may have come at once, or with the tick that looked at the keys.
    if peer.errors:
        raise FaultError(f"keys {list(ALL_KEYS)} without a snake were answered by {peer.errors[0]}")
    player = play_with(peer, *ALL_KEYS, ["ping", BEHIND_KEYS])
    birth = peer.ticks[-1]
    taken_us = [pong[2] for message in peer.heard for pong in message.named("pong") if pong[1] == BEHIND_KEYS]
    player.ride(2)
    if not taken_us or taken_us[0] >= birth.due_us:
        raise NothingShownError("the snake was born before the keys came")
    if player.died_freely or set(player.moves) - {player.heading}:
        raise FaultError(
            f"keys {list(ALL_KEYS)} before the birth of a snake that headed for {player.heading}: "
            f"it moved {player.moves}{' and died' if player.is_dead else ''}"
        )
    if not player.moves or player.heading == BACK[ALL_KEYS[0]]:  # a key straight back may do nothing at all
        raise NothingShownError("the snake died too early, or could not turn by the first key")


@check(
    "At most one turn a move, at most two wait; a key is measured against the last that waits.",
    grade="interoperability",
)
def waiting_turns(server: ServerUnderTest) -> None:
    for _ in range(TRIES_OF_THREE):
        player = play(server)
        sent = [player.key(way) for way in ("side", "side", "other", "back", "other")]
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
        if player.moves != [*wanted[:2], player.key("other")]:
            break
    if player.moves != wanted:
        raise FaultError(
            f"the snake headed for {player.heading}, keys {sent} between two moves: it moved {player.moves}",
            f"{wanted}: the second and third key are no turn from the first, and two wait already when the last comes",
        )
