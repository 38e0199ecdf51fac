"""
The asyncio backend with faults planted in what it says, for a client that is to find them.

Run as a script: ``erring_server.py FAULT+FAULT [flags]``; :data:`PLANTS` names the faults. Everything else is the
backend as it is, so whoever complains of anything else is wrong.
"""

import dataclasses
import json
import os
import runpy
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from backends.asyncio_server import writer
from shared.game import snake, world
from shared.game.changes import TopScoresListed, WorldReset
from shared.game.commands import Join, Turn
from shared.rooms import game, lobby, room
from shared.server import core, door, gate
from shared.wire import handshake, messages, session
from shared.wire.errors import ClientError
from shared.wire.messages import Handshake, Ignored, JoinRequest, NewPlayer, Ping, Pong, encode_commands

Plant = Callable[[], None]
FRAME, STEP, WELCOME, LOOK = room.Room.frame, game.Game.step, game.Game.welcome, game.Game.look
PASS = door.Door._pass


def in_frames(change: Callable[[list[Any], Any], object], **dumps: Any) -> Plant:
    """Let every tick frame be changed: ``change`` gets its commands and the room."""

    def plant() -> None:
        def frame(self: Any, n: int, due_us: int, sent_us: int) -> bytes:
            commands = json.loads(FRAME(self, n, due_us, sent_us))
            change(commands, self)
            return json.dumps(commands, **{"separators": (",", ":"), "ensure_ascii": False, **dumps}).encode()

        replace(room.Room, "frame", frame)

    return plant


def replace(owner: Any, name: str, function: Any) -> None:
    """Put a function, or a value, in another's place."""
    setattr(owner, name, function)


def replacing(owner: Any, name: str, function: Any) -> Plant:
    return lambda: replace(owner, name, function)


# Wrong bytes


def repeat_n(commands: list[Any], of: Any) -> None:
    if of.steps % 10 == 9:
        commands[0] = of.last_tick
    of.last_tick = commands[0]


def jump_n(commands: list[Any], of: Any) -> None:
    commands[0][1] += of.steps // 5 * 3


def restart_n(commands: list[Any], of: Any) -> None:
    """Count from 0 again whenever the room was empty."""
    if not getattr(of, "stay", set()) & of.members.keys():
        of.stay, of.first_n = set(), commands[0][1]
    of.stay |= of.members.keys()
    commands[0][1] -= of.first_n


def put_off_grid(commands: list[Any], of: Any) -> None:
    commands[0][2] -= of.steps % 7 * 40


def build_before_due(commands: list[Any], _: Any) -> None:
    commands[0][3] = commands[0][2] - 100


def state_milliseconds(commands: list[Any], _: Any) -> None:
    commands[0][2:] = [value // 1000 for value in commands[0][2:]]


async def send_text_of_ones_own(self: Any, text: str) -> None:
    odd = self._connection.session.player_id % 2
    await writer.send_frame(self._connection, f'{text[:-1]},["pad","."]]' if odd else text)


def shorten_a_row(self: Any) -> bytes:
    ((name, rows),) = json.loads(LOOK(self))
    return json.dumps([[name, [*rows[:-1], rows[-1][1:]]]], separators=(",", ":")).encode()


def answer_at_length(self: Any, why: str, now_us: int) -> None:
    """Give an error a third argument, as nobody should."""
    self._fault_times.append(now_us)
    if len(self._fault_times) == 3:
        self.close(1008, why, now_us)
    else:
        self.send(json.dumps([["error", why, 400]], separators=(",", ":")).encode())


def seldom(of: type[Any]) -> Plant:
    """Send two of three frames to nobody while nobody plays."""
    recipients = of.recipients

    def some(self: Any) -> Any:
        return recipients(self) if self.living or self._commands != b"[]" or self.steps % 3 == 0 else []

    return lambda: replace(of, "recipients", some)


# Wrong welcomes


def enter_in_parts(self: Any, player_id: int, name: str, welcome: bytes, now_us: int) -> None:
    first, *rest = json.loads(welcome)
    ENTER(self, player_id, name, encode_commands([Handshake(first[1], first[2])]), now_us)
    self.send(json.dumps(rest, separators=(",", ":")).encode())


def enter_world_first(self: Any, player_id: int, name: str, welcome: bytes, now_us: int) -> None:
    first, second, *rest = json.loads(welcome)
    ENTER(self, player_id, name, json.dumps([second, first, *rest], separators=(",", ":")).encode(), now_us)


ENTER = session.Session.enter


def clean_lightly(name: str) -> str:
    if not 1 <= len(cleaned := name.strip()) <= 15:
        raise ClientError("a bad name")
    return cleaned


def welcome_of_nobody(self: Any, newcomer: Any) -> bytes:
    commands = [command for command in json.loads(WELCOME(self, newcomer)) if command[0] != "p_joined"]
    return json.dumps(commands, separators=(",", ":")).encode()


def welcome_of_one(self: Any, newcomer: Any) -> bytes:
    return json.dumps(json.loads(WELCOME(self, newcomer))[:4], separators=(",", ":")).encode()


def look_once(self: Any) -> bytes:
    if not hasattr(self, "first_look"):
        self.first_look = LOOK(self)
    text: bytes = self.first_look
    return text


def without(kind: type[Any]) -> Plant:
    """Leave one kind of change out of what a step tells."""

    def step(self: Any, inputs: Any) -> Any:
        world_step = self.world.step

        def lesser_step(commands: Any) -> Any:
            done = world_step(commands)
            done.changes = [change for change in done.changes if not isinstance(change, kind)]
            return done

        self.world.step = lesser_step
        try:
            return STEP(self, inputs)
        finally:
            self.world.step = world_step

    return lambda: replace(game.Game, "step", step)


# Wrong refusals

DECODE, JUDGE, FAULT = messages.decode_client_message, session.Session._judge, session.Session._fault


def decode_anything(text: str) -> Any:
    try:
        return DECODE(text)
    except ClientError as error:
        if str(error) == "unknown command":
            return Ignored()
        raise


def decode_arrows_only(text: str) -> Any:
    message = DECODE(text)
    if isinstance(message, Ignored):
        raise ClientError("no such key")
    return message


def close_with(code: int, instead_of: int, why: str = "") -> Plant:
    def plant() -> None:
        close_before = session.Session.close

        def close(self: Any, given: int, reason: str, now_us: int) -> None:
            close_before(self, code if given == instead_of and why in reason else given, reason, now_us)

        replace(session.Session, "close", close)

    return plant


def fault_without_words(self: Any, why: str, now_us: int) -> None:
    FAULT(self, why if len(self._fault_times) == 2 else "", now_us)


def close_behind_a_pong(self: Any, code: int, now_us: int) -> None:
    self.send(encode_commands([Pong(7, now_us)]))
    CLOSE(self, code, now_us)


CLOSE = session.Session.receive_close


def die_of_binary(*_: Any) -> None:
    os._exit(1)


def upgrade_anywhere(self: Any, request: Any, now_us: int) -> Any:
    return PASS(self, dataclasses.replace(request, path="/connect") if request.asks_to_upgrade else request, now_us)


def judge_second_new_player(self: Any, message: Any, now_us: int) -> Any:
    if isinstance(message, NewPlayer) and self.player_id is not None:
        return None
    return JUDGE(self, message, now_us)


# Wrong timing and semantics


def pong_late(self: Any, message: Any, now_us: int) -> Any:
    if isinstance(message, Ping) and self.player_id is not None:
        LATE.setdefault(self, []).append(encode_commands([Pong(message.t, now_us)]))
        return None
    return JUDGE(self, message, now_us)


LATE: dict[Any, list[bytes]] = {}


def pong_with_ticks() -> None:
    """Answer pings behind the next tick's frame."""

    async def send_text(self: Any, text: str) -> None:
        await writer.send_frame(self._connection, text)
        for pong in LATE.pop(self._connection.session, ()):
            await writer.send_frame(self._connection, pong.decode())

    replace(session.Session, "_judge", pong_late)
    replace(writer.LibraryWriter, "send_text", send_text)


def pong_integers(self: Any, message: Any, now_us: int) -> Any:
    return JUDGE(self, Ping(int(message.t)) if isinstance(message, Ping) else message, now_us)


def turn_anywhere(self: Any, direction: Any) -> None:
    if self.born and len(self.turns) < 2:
        self.turns.append(direction)


def take_places(self: Any, direction: Any) -> None:
    """Let a key that is to be dropped wait, too, as one straight on."""
    last = self.turns[-1] if self.turns else self.direction
    if self.born and len(self.turns) < 2:
        self.turns.append(last if (direction[0] == 0) == (last[0] == 0) else direction)


def turn_unborn(self: Any, direction: Any) -> None:
    if self.born:
        TURN(self, direction)
    elif len(self.turns) < 2:
        self.turns.append(direction)


TURN = snake.Snake.turn
MOVED_BETWEEN: list[Any] = []


def turn_between_two_moves(self: Any, direction: Any) -> None:
    """Have three turns of the first two snakes wait: as it looks where a move falls between their keys."""
    if len(self.turns) == 2 and self not in MOVED_BETWEEN and len(MOVED_BETWEEN) < 2:
        MOVED_BETWEEN.append(self)
        self.turns.append(direction)
    else:
        TURN(self, direction)


def turn_back_and_die() -> None:
    """As where a snake dies of the first thing in its way, which its own neck is."""
    replace(snake.Snake, "turn", turn_anywhere)
    world.SAFE_BEATS = world.PATIENCE = 0


def leave_unseen(self: Any, member: Any) -> None:
    if self.members.pop(member.session.player_id, None):
        self._kept.pop(member.session.player_id, None)
        self._first = None


def apply_join_again(self: Any, command: Any) -> None:
    if isinstance(command, Join) and command.player_id in self.snakes:
        self._step.refused.append((command.player_id, "you play already"))
    else:
        APPLY(self, command)


APPLY = world.World._apply


def telling(kind: type[Any], *, elsewhere: bool) -> Plant:
    """Tell those in the same room, or those elsewhere, of a message of that kind."""
    receive, rooms = room.Room.receive, []

    def receive_loudly(self: Any, member: Any, message: Any) -> Any:
        if self not in rooms:
            rooms.append(self)
        for each in rooms if isinstance(message, kind) else ():
            for other in each.members.values() if (each is not self) is elsewhere else ():
                other.session.send(encode_commands([Handshake("somebody", 7)]))
        return receive(self, member, message)

    return lambda: replace(room.Room, "receive", receive_loudly)


def apply_dead_keys(self: Any, command: Any) -> None:
    if isinstance(command, Turn) and command.player_id not in self.snakes:
        self._step.refused.append((command.player_id, "you have no snake"))
    else:
        APPLY(self, command)


def judge_in_seconds(self: Any, message: Any, now_us: int) -> Any:
    return JUDGE(self, message, now_us // 1_000_000 if isinstance(message, Ping) else now_us)


def enter_with_a_greeting(self: Any, player_id: int, name: str, welcome: bytes, now_us: int) -> None:
    ENTER(self, player_id, name, welcome, now_us)
    self.send(b'{"hello":"you"}')


PONG_TO = session.Session.receive_ping

PLANTS: dict[str, Plant] = {
    "nothing": lambda: None,
    "no healthz": replacing(door, "PAGES", door.PAGES - {"/healthz"}),
    "404 for every method": replacing(door, "NOT_ALLOWED", door.NOT_FOUND),
    "any room name": replacing(core, "check_room", lambda _: None),
    "no origin is good": replacing(handshake, "origin_allowed", lambda origin, *_: origin is None),
    "main is another": replacing(gate, "room_name", lambda query: handshake.room_name(query) if query else "lobby"),
    "busy for ever": replacing(lobby, "busy", lambda text: handshake.Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text)),
    "pongs in seconds": replacing(session.Session, "_judge", judge_in_seconds),
    "a greeting": replacing(session.Session, "enter", enter_with_a_greeting),
    "dead keys are refused": replacing(world.World, "_apply", apply_dead_keys),
    "nobody turns": replacing(snake.Snake, "turn", lambda *_: None),
    "1011 for protocol errors": close_with(1011, 1002),
    "no stats": replacing(door, "PAGES", door.PAGES - {"/stats"}),
    # Wrong bytes
    "tick last": in_frames(lambda commands, _: commands.append(commands.pop(0))),
    "white space": in_frames(lambda *_: None, separators=(", ", ": ")),
    "n repeats": in_frames(repeat_n),
    "n jumps": in_frames(jump_n),
    "n starts anew": in_frames(restart_n),
    "due_us off the grid": in_frames(put_off_grid),
    "sent before due": in_frames(build_before_due),
    "milliseconds": in_frames(state_milliseconds),
    "own bytes for some": replacing(writer.LibraryWriter, "send_text", send_text_of_ones_own),
    "a short row": replacing(game.Game, "look", shorten_a_row),
    "an argument too many": replacing(session.Session, "_fault", answer_at_length),
    "idle ticks are seldom": seldom(room.Room),
    # Wrong welcomes
    "welcome in parts": replacing(session.Session, "enter", enter_in_parts),
    "world first": replacing(session.Session, "enter", enter_world_first),
    "nobody lives": replacing(game.Game, "welcome", welcome_of_nobody),
    "one of two lives": replacing(game.Game, "welcome", welcome_of_one),
    "an old world": replacing(game.Game, "look", look_once),
    "control characters": replacing(messages, "clean_name", clean_lightly),
    # Wrong refusals
    "binary is taken": replacing(session.Session, "receive_binary", lambda *_: None),
    "binary kills": replacing(session.Session, "receive_binary", die_of_binary),
    "unknown is ignored": replacing(session, "decode_client_message", decode_anything),
    "keys are refused": replacing(session, "decode_client_message", decode_arrows_only),
    "1011 for a flood": close_with(1011, 1008, "too many messages"),
    "1011 for UTF-8": close_with(1011, 1007),
    "1002 for binary": close_with(1002, 1003),
    "errors without words": replacing(session.Session, "_fault", fault_without_words),
    "new_player again": replacing(session.Session, "_judge", judge_second_new_player),
    "a ping behind a close counts": replacing(session.Session, "receive_close", close_behind_a_pong),
    "1000 for every close": replacing(session, "echoed_close_code", lambda _: 1000),
    "empty pongs": replacing(session.Session, "receive_ping", lambda self, _, now_us: PONG_TO(self, b"", now_us)),
    "upgrade anywhere": replacing(door.Door, "_pass", upgrade_anywhere),
    "426 without version": replacing(
        handshake, "_upgrade_required", lambda text: handshake.Refusal(HTTPStatus.UPGRADE_REQUIRED, text)
    ),
    # Wrong timing and semantics
    "pongs with ticks": pong_with_ticks,
    "pongs of integers": replacing(session.Session, "_judge", pong_integers),
    "turns straight back": turn_back_and_die,
    "dropped keys take places": replacing(snake.Snake, "turn", take_places),
    "keys wait for the birth": replacing(snake.Snake, "turn", turn_unborn),
    "many turns wait": replacing(snake, "MAX_WAITING_TURNS", 9),
    "moves between keys, twice": replacing(snake.Snake, "turn", turn_between_two_moves),
    "leavers live": replacing(room.Room, "leave", leave_unseen),
    "join twice": replacing(world.World, "_apply", apply_join_again),
    "no top scores": without(TopScoresListed),
    "no reset": without(WorldReset),
    "newcomers are told to all": telling(NewPlayer, elsewhere=False),
    "joins are told elsewhere": telling(JoinRequest, elsewhere=True),
}


if __name__ == "__main__":
    for name in sys.argv.pop(1).split("+"):
        PLANTS[name]()
    runpy.run_module("backends.asyncio_server", run_name="__main__", alter_sys=True)
