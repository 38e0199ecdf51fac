"""Checks of the game as a player sees it: birth, death, what a newcomer is told of it."""

import itertools
import time
from typing import NamedTuple

from tickbench.conformance.check import Check
from tickbench.conformance.field import BODY, HEAD, TAIL, Field
from tickbench.conformance.peer import Message, to_common_tick
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.tracked_player import NothingShownError, TrackedPlayer, is_birth_of, join, try_often
from tickbench.conformance.verdict import FaultError, NotTriedError, quote

LONGEST_RIDE_S = 30.0
LEAVE_TICKS = 2
"""Ticks after the answer to its close in which a leaver must die: the next tick may have been on its way."""
MOST_PLAYERS = 10
MAXIMUM = "Maximum players reached"
GAME_OVER_RIGHT = '["p_gameover", player id] and, in the same frame, top_scores'
GAME_OVER = " >>> GAME OVER <<< "


# Birth


def check_join(subject: ServerUnderTest) -> str | None:
    """Join, and look at the birth."""
    peer = subject.enter(name="Ada")
    peer.send(["join"])
    birth = peer.until(lambda message: is_birth_of(message, peer) or message.is_error, "its p_joined behind a join")
    if birth.is_error:
        raise NotTriedError(f"join was answered by {birth.text}")
    right = '["p_joined", player id, name, color, score] and three renders in a tick frame: head %, body @, tail *'
    ours = [born for born in birth.named("p_joined") if born[1] == peer.player_id]
    if not ours or ours[0][2] != "Ada" or ours[0][4] != 0 or not birth.tick:
        raise FaultError(f"player {peer.player_id}, Ada, has joined: {quote(birth.text)}", right)
    color = ours[0][3]
    missing = [char for char in (HEAD, BODY, TAIL) if not peer.field.find(char, color)]
    if missing:
        raise FaultError(f"no {', '.join(missing)} in color {color}: {quote(birth.text)}", right)
    return None


def check_join_again(subject: ServerUnderTest) -> str | None:
    """Join while the snake lives."""
    right = "join is ignored while the snake lives"

    def attempt() -> None:
        rider = join(subject)
        rider.peer.send(["join"])
        rider.peer.send(["join"])
        rider.settle()
        rider.ride(2)
        if rider.errors:
            raise FaultError(f"a second join was answered by {rider.errors[0]!r}", right)
        if rider.died_freely:
            raise FaultError("a second join killed the snake", right)
        _need_life(rider)
        if rider.births:
            raise FaultError("a second join brought a second p_joined", right)

    try_often(attempt)
    return None


def check_living_players(subject: ServerUnderTest) -> str | None:
    """Enter while somebody plays: a newcomer knows of the same living players."""

    def attempt() -> None:
        old, new = _meet(subject)
        if old.living != new.living:
            seen = f"one who was there knows of {quote(repr(old.living))}, a newcomer of {quote(repr(new.living))}"
            raise FaultError(seen, "the welcome has one p_joined for each living player")

    try_often(attempt)
    return None


def check_world_current(subject: ServerUnderTest) -> str | None:
    """Enter while somebody plays: a newcomer draws the same field."""

    def attempt() -> None:
        old, new = _meet(subject)
        wrong = [cell for cell in old.cells.keys() | new.cells.keys() if old.cells.get(cell) != new.cells.get(cell)]
        if wrong:
            cell = min(wrong)
            seen = f"cell {cell} is {old.cells.get(cell)} for one who was there, {new.cells.get(cell)} for a newcomer"
            raise FaultError(seen, "the welcome shows the field after the last tick, the next tick goes on from there")

    try_often(attempt)
    return None


def _meet(subject: ServerUnderTest) -> tuple[Field, Field]:
    """Return the fields that a player and a newcomer draw after the same tick."""
    room = subject.fresh_room()
    old = join(subject, room).peer
    alive = old.player_id
    new = subject.enter(room)
    if alive not in old.field.living:
        raise NothingShownError("the snake died too early")
    if not to_common_tick(old, new):
        raise NothingShownError("no tick came to both")
    return old.field, new.field


# Death


class Death(NamedTuple):
    """How a player died, and what came of joining again."""

    message: Message
    was_alone: bool
    shows_game_over: bool
    births: list[Message]
    """Messages with a birth after the second join, up to its own."""
    refusal: Message | None
    """The error in place of its own birth, though nobody else lived."""


def take_death(subject: ServerUnderTest) -> Death:
    """Ride against the nearest wall, then join again; all checks share one death, as it takes a while."""
    if "death" not in subject.samples:
        subject.samples["death"] = _die(subject)
    death: Death = subject.samples["death"]
    return death


def _die(subject: ServerUnderTest) -> Death:
    rider = join(subject)
    message = _ride_to_death(subject, rider)
    field = rider.peer.field
    was_alone = not field.living
    rows = ["".join(field.cells.get((x, y), (" ", 0))[0] for x in range(field.width)) for y in range(field.height)]
    rider.peer.send(["join"])
    births: list[Message] = []

    def ends_it(message: Message) -> bool:
        if message.has("p_joined"):
            births.append(message)
        return is_birth_of(message, rider.peer) or message.is_error

    answer = rider.peer.until(ends_it, "its p_joined behind a second join")
    # Where others live, they may have filled its place.
    refusal = answer if answer.is_error and not field.living else None
    return Death(message, was_alone, any(GAME_OVER.strip() in row for row in rows), births, refusal)


def check_game_over(subject: ServerUnderTest) -> str | None:
    """Ride against the nearest wall, then join again."""
    death = take_death(subject)
    if not death.message.named("top_scores"):
        raise FaultError(f"a game over without top_scores: {quote(death.message.text)}", GAME_OVER_RIGHT)
    if death.refusal:
        seen = f"join behind a game over was answered by {death.refusal.text}"
        raise FaultError(seen, "join works again after game over")
    return None


def _ride_to_death(subject: ServerUnderTest, rider: TrackedPlayer) -> Message:
    way = min(("ahead", "side", "other"), key=lambda way: rider.room_ahead(rider.key(way)))
    if rider.room_ahead(rider.key(way)) * subject.period_s > LONGEST_RIDE_S:
        raise NotTriedError(f"the nearest wall is more than {LONGEST_RIDE_S:g} s away")
    rider.send_keys([way] if way != "ahead" else [])
    until = time.monotonic() + LONGEST_RIDE_S
    while time.monotonic() < until:
        death = rider.read()
        if rider.is_dead:
            return death
        if not rider.peer.field.is_inside(rider.head):
            raise FaultError("the snake rode out of the field", GAME_OVER_RIGHT)
    raise NotTriedError(f"the snake lived for {LONGEST_RIDE_S:g} s, on its way to a wall or before it")


def check_new_round(subject: ServerUnderTest) -> str | None:
    """Be the last to die, then join again: the field says so, and is reset."""
    death = take_death(subject)
    if not death.was_alone:
        raise NotTriedError("others play on")
    if not death.shows_game_over:
        raise FaultError(f"the last death: {quote(death.message.text)}", f"the field shows{GAME_OVER}")
    if not death.births:
        raise NotTriedError("nobody was born again; see game-over")
    names = [command[0] for command in death.births[0].commands]
    if "reset_world" not in names[: names.index("p_joined")]:
        seen = f"the first birth of a new round: {quote(death.births[0].text)}"
        raise FaultError(seen, "reset_world comes before p_joined")
    return None


def check_leaver(subject: ServerUnderTest) -> str | None:
    """Leave while the snake lives."""
    right = "a leaver's snake dies at the next tick"

    def attempt() -> None:
        room = subject.fresh_room()
        witness = subject.enter(room)
        rider = join(subject, room)
        _turn_to_the_open(rider)
        rider.peer.close()
        rider.peer.expect_close("the close is answered", "a close frame")
        came = witness.settle()
        if rider.peer.player_id not in rider.peer.field.living:
            raise NothingShownError("the snake died too early")
        for ticks in itertools.count():
            if any(gone[1] == rider.peer.player_id for message in came for gone in message.named("p_gameover")):
                return
            if ticks >= LEAVE_TICKS:
                raise FaultError(f"{ticks} ticks behind its close no p_gameover had come for a leaver", right)
            came.append(witness.next_tick())

    try_often(attempt)
    return None


def _turn_to_the_open(rider: TrackedPlayer) -> None:
    """Turn to the longest open way, so that no wall kills the snake before the leave does."""
    way = max(("ahead", "side", "other"), key=lambda way: rider.room_ahead(rider.key(way)))
    rider.send_keys([way] if way != "ahead" else [])
    rider.settle()
    _need_life(rider)


def check_maximum_players(subject: ServerUnderTest) -> str | None:
    """Let one more join than may, all before the same tick; each of its joins is refused, and it is not closed."""
    room = subject.fresh_room()
    *peers, last = (subject.enter(room) for _ in range(MOST_PLAYERS + 1))
    for peer in peers:
        peer.send(["join"])
    for peer in peers:
        peer.settle()
    for refusals in range(4):  # the third fault within ten seconds would have closed it
        last.send(["join"])
        answer = last.until(lambda message: is_birth_of(message, last) or not message.tick, "an answer to join")
        if answer.tick:  # one of the others has died, unless it is the first
            return (
                None
                if refusals
                else f"{MOST_PLAYERS + 1} have joined, nobody was refused; the default is {MOST_PLAYERS}"
            )
        if answer.commands != [["error", MAXIMUM]]:
            raise FaultError(f"join in a full game was answered by {quote(answer.text)}", f'[["error", "{MAXIMUM}"]]')
    return None


def _need_life(rider: TrackedPlayer) -> None:
    if rider.is_dead:
        raise NothingShownError("the snake died too early")


CHECKS = (
    Check("join", "join puts my snake in the field; p_joined is player id, name, color, score.", check_join),
    Check("join-again", "join is ignored while the snake lives.", check_join_again),
    Check("living-players", "A newcomer is told of each living player.", check_living_players),
    Check("world-current", "A newcomer's world is the state after the last tick.", check_world_current),
    Check("game-over", "A game over is p_gameover with top_scores; join works again after it.", check_game_over),
    Check("new-round", "The last death ends the round; the next snake is born on a reset field.", check_new_round),
    Check("leaver-dies", "A leaver's snake dies at the next tick.", check_leaver),
    Check(
        "maximum-players",
        "At most 10 are alive in a room; Maximum players reached is an answer, not a fault.",
        check_maximum_players,
    ),
)
