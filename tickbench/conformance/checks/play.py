"""Checks of the game as a player sees it: birth, death, what a newcomer is told of it."""

import time
from contextlib import suppress
from typing import NamedTuple

from tickbench.conformance.check import check, raise_flaws
from tickbench.conformance.field import BODY, HEAD, TAIL, Field
from tickbench.conformance.peer import PeerMessage, to_common_tick
from tickbench.conformance.server_under_test import ServerUnderTest
from tickbench.conformance.tracked_player import TrackedPlayer, await_birth, play
from tickbench.conformance.verdict import FaultError, NothingShownError, NotTriedError, quote

LONGEST_RIDE_S = 30.0
LEAVE_TICKS = 2
"""Ticks after the answer to its close in which a leaver must die: the next tick may have been on its way."""
MOST_PLAYERS = 10
MAXIMUM = "Maximum players reached"
GAME_OVER_RIGHT = '["p_gameover", player id] and, in the same frame, top_scores'
GAME_OVER = " >>> GAME OVER <<< "


# Birth


@check(
    "join puts my snake in the field; p_joined is player id, name, color, score.",
    '["p_joined", player id, name, color, score] and three renders in a tick frame: head %, body @, tail *',
    grade="interoperability",
)
def join(server: ServerUnderTest) -> None:
    peer = server.enter(name="Ada")
    birth = await_birth(peer)
    ours = [command[1:] for command in birth.named("p_joined") if command[1] == peer.player_id]
    _, name, color, score = ours[0]
    if name != "Ada" or score != 0 or not birth.ticks:
        raise FaultError(f"player {peer.player_id}, Ada, has joined: {quote(birth.text)}")
    missing = [char for char in (HEAD, BODY, TAIL) if not peer.field.find(char, color)]
    if missing:
        raise FaultError(f"no {', '.join(missing)} in color {color}: {quote(birth.text)}")


@check("join is ignored while the snake lives.", grade="interoperability")
def join_again(server: ServerUnderTest) -> None:
    player = play(server)
    player.peer.send(["join"])
    player.peer.send(["join"])
    player.settle()
    player.ride(2)
    if player.peer.errors:
        raise FaultError(f"a second join was answered by {player.peer.errors[0]}")
    if player.died_freely:
        raise FaultError("a second join killed the snake")
    player.need_life()
    if sum(message.tells_of("p_joined", player.peer.player_id) for message in player.peer.heard) > 1:
        raise FaultError("a second join brought a second p_joined")


@check(
    "A newcomer is told of each living player.",
    "the welcome has one p_joined for each living player",
    grade="interoperability",
)
def living_players(server: ServerUnderTest) -> None:
    old, new = _meet(server)
    if old.living != new.living:
        seen = f"one who was there knows of {quote(repr(old.living))}, a newcomer of {quote(repr(new.living))}"
        raise FaultError(seen)


@check(
    "A newcomer's world is the state after the last tick.",
    "the welcome shows the field after the last tick, the next tick goes on from there",
    grade="interoperability",
)
def world_current(server: ServerUnderTest) -> None:
    old, new = _meet(server)
    wrong = [cell for cell in old.cells.keys() | new.cells.keys() if old.cells.get(cell) != new.cells.get(cell)]
    if wrong:
        cell = min(wrong)
        seen = f"cell {cell} is {old.cells.get(cell)} for one who was there, {new.cells.get(cell)} for a newcomer"
        raise FaultError(seen)


def _meet(server: ServerUnderTest) -> tuple[Field, Field]:
    """Return the fields that a player and a newcomer draw after the same tick; another plays, and one looks on."""
    room = server.fresh_room()
    old = play(server, room).peer
    other, _onlooker = server.enter(room), server.enter(room)
    with suppress(NotTriedError):  # the game may be for one only
        await_birth(other)
    new = server.enter(room)
    if not old.field.living:
        raise NothingShownError("the snakes died too early")
    if not to_common_tick(old, new):
        raise NothingShownError("no tick came to both")
    return old.field, new.field


# Death


class Death(NamedTuple):
    """How a player died, and what came of joining again."""

    message: PeerMessage
    was_alone: bool
    shows_game_over: bool
    births: list[PeerMessage]
    """Messages with a birth after the second join, up to its own."""
    refusal: PeerMessage | None
    """The error in place of its own birth, though nobody else lived."""


def _die(server: ServerUnderTest) -> Death:
    """Ride against the nearest wall, then join again."""
    player = play(server)
    message = _ride_to_death(server, player)
    field = player.peer.field
    was_alone = not field.living
    rows = ["".join(field.cells.get((x, y), (" ", 0))[0] for x in range(field.width)) for y in range(field.height)]
    player.peer.send(["join"])
    births: list[PeerMessage] = []

    def ends_it(message: PeerMessage) -> bool:
        if message.has("p_joined"):
            births.append(message)
        return message.tells_of("p_joined", player.peer.player_id) or message.is_error

    answer = player.peer.until(ends_it, "its p_joined behind a second join")
    # Where others live, they may have filled its place.
    refusal = answer if answer.is_error and not field.living else None
    return Death(message, was_alone, any(GAME_OVER.strip() in row for row in rows), births, refusal)


def _ride_to_death(server: ServerUnderTest, player: TrackedPlayer) -> PeerMessage:
    way = min(("ahead", "side", "other"), key=player.cells_ahead)
    if player.cells_ahead(way) * server.period_s > LONGEST_RIDE_S:
        raise NotTriedError(f"the nearest wall is more than {LONGEST_RIDE_S:g} s away")
    player.turn(way)
    until = time.monotonic() + LONGEST_RIDE_S
    while time.monotonic() < until:
        death = player.read()
        if player.is_dead:
            return death
        if not player.peer.field.is_inside(player.head):
            raise FaultError("the snake rode out of the field", GAME_OVER_RIGHT)
    raise NotTriedError(f"the snake lived for {LONGEST_RIDE_S:g} s, on its way to a wall or before it")


@check(
    "A game over is p_gameover with top_scores; join works again after it.", GAME_OVER_RIGHT, grade="interoperability"
)
def game_over(server: ServerUnderTest) -> None:
    death = server.once(_die)
    if not death.message.named("top_scores"):
        raise FaultError(f"a game over without top_scores: {quote(death.message.text)}")
    if death.refusal:
        seen = f"join behind a game over was answered by {death.refusal.text}"
        raise FaultError(seen, "join works again after game over")


@check(
    "The last death ends the round; the next snake is born on a reset field.",
    f"the field shows{GAME_OVER}",
    grade="interoperability",
)
def new_round(server: ServerUnderTest) -> None:
    death = server.once(_die)
    if not death.was_alone:
        raise NotTriedError("others play on")
    if not death.shows_game_over:
        raise FaultError(f"the last death: {quote(death.message.text)}")
    if not death.births:
        raise NotTriedError("nobody was born again; see game-over")
    names = [command[0] for command in death.births[0].commands]
    if "reset_world" not in names[: names.index("p_joined")]:
        seen = f"the first birth of a new round: {quote(death.births[0].text)}"
        raise FaultError(seen, "reset_world comes before p_joined")


@check("A leaver's snake dies at the next tick.", grade="interoperability")
def leaver_dies(server: ServerUnderTest) -> None:
    room = server.fresh_room()
    onlooker = server.enter(room)
    player = play(server, room)
    player.turn(max(("ahead", "side", "other"), key=player.cells_ahead))  # no wall is to kill it before
    player.settle()
    player.need_life()
    leaver = player.peer
    leaver.close()
    raise_flaws([leaver.close_flaw("a close frame")], "the close is answered")
    onlooker.settle()
    if leaver.player_id not in leaver.field.living:
        raise NothingShownError("the snake died too early")
    for _ in range(LEAVE_TICKS):
        onlooker.next_tick()
    if leaver.player_id in onlooker.field.living:
        raise FaultError(f"{LEAVE_TICKS} ticks behind its close no p_gameover had come for a leaver")


@check(
    "At most 10 are alive in a room; Maximum players reached is an answer, not a fault.",
    f'[["error", "{MAXIMUM}"]]',
    grade="interoperability",
)
def maximum_players(server: ServerUnderTest) -> str | None:
    """Let one more join than may, all before the same tick; each of its joins is refused, and it is not closed."""
    room = server.fresh_room()
    *peers, last = (server.enter(room) for _ in range(MOST_PLAYERS + 1))
    for peer in peers:
        peer.send(["join"])
    for peer in peers:
        peer.settle()
    for refusals in range(4):  # the third fault within ten seconds would have closed it
        last.send(["join"])
        answer = last.until(
            lambda message: message.tells_of("p_joined", last.player_id) or not message.ticks, "an answer to join"
        )
        if answer.ticks:  # one of the others has died, unless it is the first
            joined = MOST_PLAYERS + 1
            return None if refusals else f"{joined} have joined, nobody was refused; the default is {MOST_PLAYERS}"
        if answer.commands != [["error", MAXIMUM]]:
            raise FaultError(f"join in a full game was answered by {quote(answer.text)}")
    return None
