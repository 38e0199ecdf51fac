import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.game.changes import CellChanged
from shared.game.commands import Leave
from shared.game.world import Rules
from shared.rooms.room import Room
from shared.rooms.scores import MemoryScores
from shared.wire.errors import InvariantError
from shared.wire.messages import Ignored, JoinRequest, Key, Ping
from tests.shared.opcodes import count_opcodes
from tests.shared.rooms.visitor import NOW, Visitor, game_of, step

RULES = Rules(30, 20, max_players=3)


class RecordingScores(MemoryScores):
    """Remembers each save."""

    def __init__(self) -> None:
        super().__init__(10)
        self.saves: list[tuple[str, list[tuple[str, int]]]] = []

    def save(self, room: str, rows: list[tuple[str, int]]) -> None:
        self.saves.append((room, list(rows)))
        super().save(room, rows)


def open_room(rules: Rules = RULES, *, scores: MemoryScores | None = None, pad_bytes: int = 0) -> Room[Visitor]:
    return Room("den", 0, rules, "seed", scores or MemoryScores(10), pad_bytes)


def tick(room: Room[Visitor], n: int = 0) -> list[Any]:
    """Step and return the commands of the frame, without the ``tick`` command."""
    step(room)
    commands: list[Any] = json.loads(room.frame(n, 5, 6))
    assert commands[0] == ["tick", n, 5, 6]
    return commands[1:]


def kinds(commands: list[Any]) -> list[str]:
    return [command[0] for command in commands]


class Mirror:
    """What a client shows: the field, and who lives with which score."""

    def __init__(self, welcome: list[Any]) -> None:
        handshake, (_, self.rows), (_, self.top_scores), *joined = welcome
        self.me = handshake[2]
        self.scores = {player: score for _, player, _, _, score in joined}

    def shows(self, commands: list[Any]) -> None:
        for kind, *arguments in commands:
            match kind:
                case "render":
                    x, y, char, color = arguments
                    self.rows[y][x] = [char, color]
                case "reset_world":
                    self.rows = [[[" ", 0] for _ in row] for row in self.rows]
                case "top_scores":
                    (self.top_scores,) = arguments
                case "p_joined":
                    self.scores[arguments[0]] = arguments[3]
                case "p_score":
                    self.scores[arguments[0]] = arguments[1]
                case "p_gameover":
                    del self.scores[arguments[0]]
                case _:
                    raise AssertionError(kind)


# Coming in


def test_a_newcomer_is_told_everything_in_one_frame() -> None:
    room, ann, bob = open_room(), Visitor(), Visitor()
    welcome = ann.enters(room, "ann")
    assert kinds(welcome) == ["handshake", "world", "top_scores"]
    assert welcome[0] == ["handshake", "ann", 1]
    assert welcome[1] == ["world", [[[" ", 0]] * 30] * 20]
    assert welcome[2] == ["top_scores", []]
    ann.says(room, '["join"]')
    joined = tick(room)[0]
    welcome = bob.enters(room, "bob")
    assert kinds(welcome) == ["handshake", "world", "top_scores", "p_joined"]
    assert welcome[0] == ["handshake", "bob", 2]
    assert welcome[3] == joined
    assert list(room.members.values()) == [ann, bob]


def test_a_newcomer_is_told_the_scores_that_were_kept() -> None:
    scores = MemoryScores(10)
    scores.save("den", [("eve", 9), ("bob", 4)])
    scores.save("other", [("x", 1)])
    assert Visitor().enters(open_room(scores=scores))[2] == ["top_scores", [["eve", 9, 1], ["bob", 4, 2]]]


def test_what_waits_for_the_next_tick_is_not_in_the_welcome() -> None:
    room, ann = open_room(), Visitor()
    ann.enters(room)
    ann.says(room, '["join"]')
    assert kinds(Visitor().enters(room)) == ["handshake", "world", "top_scores"]


def test_ids_are_never_used_again_and_bots_have_the_first() -> None:
    room = open_room(Rules(30, 20, max_players=3, bots=2))
    ann, bob = Visitor(), Visitor()
    assert ann.enters(room, "ann")[0] == ["handshake", "ann", 3]
    room.leave(ann)
    assert bob.enters(room, "bob")[0] == ["handshake", "bob", 4]


# Speaking


def test_a_join_shows_in_the_next_tick_with_the_player_s_name_and_id() -> None:
    room, ann = open_room(), Visitor()
    ann.enters(room, "Änn")
    ann.says(room, '["join"]')
    commands = tick(room)
    assert kinds(commands) == ["p_joined", *["render"] * 4]
    assert (commands[0][1:3], commands[0][4]) == ([1, "Änn"], 0)
    assert ann.hears() == []


def test_a_key_turns_the_player_s_own_snake() -> None:
    room, ann, bob = open_room(), Visitor(), Visitor()
    for visitor in (ann, bob):
        visitor.enters(room)
        visitor.says(room, '["join"]')
    tick(room)
    snakes = game_of(room).world.snakes
    before = {player_id: snakes[player_id].direction for player_id in (1, 2)}
    bob.says(room, "38" if before[2][0] else "37")
    tick(room)
    assert snakes[1].direction == before[1]
    assert snakes[2].direction == ((0, -1) if before[2][0] else (-1, 0))


def test_inputs_are_taken_once_and_in_order() -> None:
    room, ann = open_room(), Visitor()
    ann.enters(room)
    ann.says(room, '["join"]')
    tick(room)
    snake = game_of(room).world.snakes[1]
    first, second = ("38", "37") if snake.direction[0] else ("37", "38")
    ann.says(room, first)
    ann.says(room, second)
    tick(room)
    assert snake.direction == ((0, -1) if first == "38" else (-1, 0))
    assert len(snake.turns) == 1


def test_who_finds_no_place_is_told_so_alone() -> None:
    room = open_room(Rules(30, 20, max_players=1))
    ann, bob = Visitor(), Visitor()
    for visitor in (ann, bob):
        visitor.enters(room)
        visitor.says(room, '["join"]')
    assert step(room) == [bob]
    assert (ann.hears(), bob.hears()) == ([], [[["error", "Maximum players reached"]]])
    assert step(room) == []


def test_who_is_refused_but_has_left_hears_nothing() -> None:
    room = open_room(Rules(30, 20, max_players=1))
    ann, bob = Visitor(), Visitor()
    for visitor in (ann, bob):
        visitor.enters(room)
        visitor.says(room, '["join"]')
    room.leave(bob)
    assert step(room) == []
    assert bob.hears() == []


def test_who_asks_again_before_its_refusal_has_come_back_is_known_to_be_in() -> None:
    """As where the game is in another process, which is asked for a step before the last one is applied."""
    room = open_room(Rules(30, 20, max_players=1))
    ann, bob = Visitor(), Visitor()
    for visitor in (ann, bob):
        visitor.enters(room)
    ann.says(room, '["join"]')
    step(room)
    bob.says(room, '["join"]')
    first = room.take_inputs()
    room.leave(ann)
    bob.says(room, '["join"]')
    second = room.take_inputs()
    steps = [game_of(room).step(inputs) for inputs in (first, second)]
    assert [len(each.refused) for each in steps] == [1, 0]
    for each in steps:
        room.apply(each)
    room.leave(bob)
    assert room.take_inputs() == [Leave(2)]


@pytest.mark.parametrize("message", [JoinRequest(), Key(37)])
def test_a_message_of_somebody_outside_is_our_own_fault(message: JoinRequest | Key) -> None:
    with pytest.raises(InvariantError):
        open_room().receive(Visitor(), message)


@pytest.mark.parametrize("message", [Ping(1), Ignored()])
def test_messages_that_the_session_answers_never_come_here(message: Ping | Ignored) -> None:
    room, ann = open_room(), Visitor()
    ann.enters(room)
    with pytest.raises(InvariantError):
        room.receive(ann, message)


# Leaving


def test_a_leaver_s_snake_dies_at_the_next_tick() -> None:
    room, ann, bob = open_room(), Visitor(), Visitor()
    for visitor in (ann, bob):
        visitor.enters(room)
        visitor.says(room, '["join"]')
    tick(room)
    room.leave(ann)
    assert list(room.members.values()) == [bob]
    assert game_of(room).world.living == 2
    assert ["p_gameover", 1] in tick(room)
    assert game_of(room).world.living == 1


def test_leaving_twice_or_before_entering_does_nothing() -> None:
    room, ann, bob = open_room(), Visitor(), Visitor()
    room.leave(ann)
    assert room._inputs == []
    ann.enters(room)
    bob.enters(room)
    ann.says(room, '["join"]')
    tick(room)
    room.leave(ann)
    room.leave(ann)
    assert kinds(tick(room)).count("p_gameover") == 1
    assert list(room.members.values()) == [bob]


# Ticks


def test_a_frame_without_changes_is_only_its_tick() -> None:
    room = open_room()
    step(room)
    assert room.frame(7, 1_000_000, 1_000_100) == b'[["tick",7,1000000,1000100]]'


def test_a_frame_before_any_step_is_only_its_tick() -> None:
    assert open_room().frame(0, 1, 2) == b'[["tick",0,1,2]]'


def test_a_frame_tells_only_of_the_last_step() -> None:
    room, ann = open_room(), Visitor()
    ann.enters(room)
    ann.says(room, '["join"]')
    assert "p_joined" in kinds(tick(room))
    assert "p_joined" not in kinds(tick(room))


def test_padding_comes_last_in_every_frame_and_in_no_welcome() -> None:
    room, ann = open_room(pad_bytes=1000), Visitor()
    assert "pad" not in kinds(ann.enters(room))
    step(room)
    assert room.frame(7, 1, 2) == b'[["tick",7,1,2],["pad","' + b"." * 1000 + b'"]]'
    ann.says(room, '["join"]')
    assert kinds(tick(room))[-1] == "pad"


def test_steps_are_counted() -> None:
    room = open_room()
    for _ in range(3):
        step(room)
    assert room.steps == 3


def test_another_one_comes_first_every_ten_steps() -> None:
    room = open_room()
    visitors = [Visitor() for _ in range(3)]
    for visitor in visitors:
        visitor.enters(room)
    orders = []
    for _ in range(40):
        orders.append([visitors.index(visitor) for visitor in room.recipients()])
        step(room)
    assert orders == [[0, 1, 2]] * 10 + [[1, 2, 0]] * 10 + [[2, 0, 1]] * 10 + [[0, 1, 2]] * 10


def test_an_empty_room_has_no_recipients() -> None:
    assert open_room().recipients() == []


def test_scores_are_saved_when_they_change_before_the_frame_is_told() -> None:
    scores = RecordingScores()
    room, ann = open_room(scores=scores), Visitor()
    ann.enters(room, "ann")
    ann.says(room, '["join"]')
    step(room)
    game_of(room).world.snakes[1].score = 8
    room.leave(ann)
    step(room)
    assert scores.saves == [("den", [("ann", 8)])]
    step(room)
    assert len(scores.saves) == 1


def test_scores_of_before_are_shown_with_the_next_tick_and_saved() -> None:
    scores = RecordingScores()
    room, ann = open_room(scores=scores), Visitor()
    ann.enters(room, "ann")
    for news in ([["top_scores", [["old", 7, 1]]]], []):
        room.recall([("old", 7)])
        assert tick(room) == news, "it is told once"
    assert room.top_scores == [("old", 7)]
    assert scores.saves == [("den", [("old", 7)])]


def test_a_save_that_fails_shows_no_frame() -> None:
    class BrokenScores(MemoryScores):
        def save(self, room: str, rows: list[tuple[str, int]]) -> None:
            raise OSError(f"{room} {rows}")

    room, ann = open_room(scores=BrokenScores(1)), Visitor()
    ann.enters(room)
    ann.says(room, '["join"]')
    step(room)
    game_of(room).world.snakes[1].score = 8
    room.leave(ann)
    with pytest.raises(OSError, match="den"):
        step(room)


# What holds for every room


def test_the_same_seed_and_name_give_the_same_game_and_others_another() -> None:
    def told(name: str, seed: str) -> list[bytes]:
        room: Room[Visitor] = Room(name, 3, Rules(bots=3), seed, MemoryScores(1))
        frames = []
        for _ in range(20):
            step(room)
            frames.append(room.frame(0, 0, 0))
        assert b'"pad"' not in b"".join(frames)
        return frames

    assert told("den", "1") == told("den", "1")
    assert told("den", "1") != told("den", "2")
    assert told("den", "1") != told("pit", "1")


def test_spectators_and_welcomes_change_nothing_of_the_game() -> None:
    def told(visitors: int) -> list[Any]:
        room = open_room(Rules(30, 20, bots=2))
        commands = []
        for _ in range(50):
            for _ in range(visitors):
                visitor = Visitor()
                visitor.enters(room)
                room.leave(visitor)
            commands.append(tick(room))
        return commands

    assert told(0) == told(2)


ACTS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["enter", "leave", "join", "37", "38", "39", "40", "tick", "tick"])),
    min_size=10,
    max_size=80,
)


@given(st.integers(0, 2), ACTS)
@settings(max_examples=60)
def test_whoever_comes_and_whenever_shows_the_same_board(bots: int, acts: list[tuple[int, str]]) -> None:
    room = open_room(Rules(21, 12, max_players=4, bots=bots))
    mirrors: dict[int, tuple[Visitor, Mirror]] = {}
    for who, act in [*acts, (0, "tick")]:
        visitor, _ = mirrors.get(who, (None, None))
        if act == "tick":
            commands = tick(room)
            for _, mirror in mirrors.values():
                mirror.shows(commands)
        elif act == "enter" and visitor is None:
            newcomer = Visitor()
            mirrors[who] = (newcomer, Mirror(newcomer.enters(room)))
        elif act == "leave" and visitor is not None:
            room.leave(visitor)
            del mirrors[who]
        elif visitor is not None and act != "enter":
            visitor.says(room, '["join"]' if act == "join" else act)
    truth = Mirror(Visitor().enters(room))
    for _, mirror in mirrors.values():
        assert (mirror.rows, mirror.scores, mirror.top_scores) == (truth.rows, truth.scores, truth.top_scores)


def test_the_field_is_encoded_once_for_all_who_come_between_two_changes() -> None:
    room = open_room()
    for x in range(30):
        for y in range(10):
            game_of(room).world.cells[x, y] = CellChanged(x, y, "#", 0)
    first = count_opcodes(lambda: Visitor().enters(room))
    step(room)
    assert count_opcodes(lambda: Visitor().enters(room)) < first / 2


def test_the_cost_of_a_tick_does_not_grow_with_the_field() -> None:
    def cost(rules: Rules) -> int:
        room, ann = open_room(rules), Visitor()
        ann.enters(room)
        ann.says(room, '["join"]')
        tick(room)
        return count_opcodes(lambda: [tick(room) for _ in range(3)])

    assert cost(Rules(1000, 1000)) < 2 * cost(Rules(50, 25))


# Who does not take a frame


def catch_up(room: Room[Visitor], member: Visitor) -> list[Any]:
    commands: list[Any] = json.loads(room.catch_up(member, game_of(room).look()))
    return commands


def test_one_who_missed_frames_is_told_all_but_the_cells() -> None:
    room, ann, bob = open_room(), Visitor(), Visitor()
    reader, slow = Mirror(ann.enters(room)), Mirror(bob.enters(room, "bob"))
    ann.says(room, '["join"]')
    told = []
    for n in range(60):
        commands = tick(room, n)
        reader.shows(commands)
        told += [command for command in commands if command[0] not in ("render", "reset_world", "top_scores")]
        assert room.skip([bob]) == [bob]
    assert room.behind() == [bob]
    assert {"p_joined", "p_gameover"} <= set(kinds(told))  # the border is never far
    world, *others = catch_up(room, bob)
    assert kinds([world]) == ["world"]
    assert [command for command in others if command[0] != "top_scores"] == told
    slow.rows = world[1]
    slow.shows(others)
    assert (slow.rows, slow.scores, slow.top_scores) == (reader.rows, reader.scores, reader.top_scores)
    assert room.behind() == []


def test_of_the_top_scores_the_newest_is_told() -> None:
    rules = Rules(20, 11, max_players=3, bots=3)
    room, ann = open_room(rules), Visitor()
    ann.enters(room)
    newest = None
    for n in range(600):
        commands = tick(room, n)
        room.skip([ann])
        newest = next((command for command in reversed(commands) if command[0] == "top_scores"), newest)
    missed = catch_up(room, ann)
    assert kinds(missed).count("p_gameover") > 5
    assert [command for command in missed if command[0] == "top_scores"] == [newest]


def test_the_field_is_encoded_once_for_all_who_missed_a_frame() -> None:
    room, visitors = open_room(), [Visitor() for _ in range(5)]
    for visitor in visitors:
        visitor.enters(room)
    for visitor in visitors[:3]:
        visitor.says(room, '["join"]')
    tick(room)
    room.skip(visitors)
    game = game_of(room)
    first = count_opcodes(lambda: room.catch_up(visitors[0], game.look()))
    assert count_opcodes(lambda: room.catch_up(visitors[1], game.look())) < first / 3


def test_who_leaves_or_is_being_closed_is_owed_nothing() -> None:
    room, ann, bob, eve = open_room(), Visitor(), Visitor(), Visitor()
    for visitor in (ann, bob, eve):
        visitor.enters(room)
    tick(room)
    room.leave(ann)
    bob.session.close(1001, "", NOW)
    assert room.skip([ann, bob, eve]) == [eve]
    room.leave(eve)
    assert room.behind() == []


def test_what_is_kept_is_bounded() -> None:
    room, ann, bob = open_room(Rules(20, 11, max_players=10, bots=10)), Visitor(), Visitor()
    ann.enters(room)
    bob.enters(room)
    for n in range(20_000):
        tick(room, n)
        room.skip([ann])
        if room.owes_too_much(ann):
            break
    assert room.owes_too_much(ann)
    assert not room.owes_too_much(bob)
    assert 1000 < len(catch_up(room, ann)) < 1100
