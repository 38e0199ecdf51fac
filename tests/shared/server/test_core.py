import resource
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.loops.schedule import GOLDEN_RATIO, DueTick
from shared.rooms.roster import SPARED_US, UNNAMED_US
from shared.server.config import parse_arguments
from shared.server.core import ServerCore
from shared.system.heap import ENDINGS, OF_AN_ECHO, Heap
from shared.wire.session import ConnectionLimits, Session
from tests.shared.rooms.visitor import Visitor, game_of, step
from tests.shared.wire.test_handshake import GOOD

START = 9_000_000_000
NOWADAYS_US = 1_796_000_000_123_457
DAY_US = 86_400_000_000


@pytest.fixture
def core() -> Iterator[ServerCore[Visitor]]:
    core = open_core()
    yield core
    core.scores.close()


def open_core(*arguments: str) -> ServerCore[Visitor]:
    return ServerCore(parse_arguments("asyncio", list(arguments)), START, 5)


def status(core: ServerCore[Visitor], room: str = "main", now_us: int = START, **headers: str) -> int:
    refusal = core.admit({**GOOD, **headers}, room, "::1", now_us)
    return int(refusal.status) if refusal else 101


def busy_ticks(core: ServerCore[Visitor], busy_us: int) -> int:
    """Let 40 ticks of 50 ms be busy for that long; return when the last ended."""
    for n in range(40):
        due_us = START + n * 50_000
        core.ticks.record(due_us, 0, 0, due_us, due_us + busy_us, 50_000)
    return START + 39 * 50_000 + busy_us


def test_a_seat_is_taken_and_given_back(core: ServerCore[Visitor]) -> None:
    assert status(core) == 101
    assert core.lobby.connections == 1
    core.release("main", "::1", START)
    assert core.lobby.connections == 0


def test_who_was_accepted_is_counted_and_stays_so(core: ServerCore[Visitor]) -> None:
    assert (status(core), status(core, upgrade=""), status(core)) == (101, 426, 101)
    core.release("main", "::1", START)
    assert core.counters.accepted == 2


def test_refusals_come_in_order_take_no_seat_and_are_counted(core: ServerCore[Visitor]) -> None:
    core.lobby.open = False
    evil = "http://evil.example"
    assert status(core, room="no room", origin=evil, upgrade="") == 404
    assert status(core, origin=evil, upgrade="") == 426
    assert status(core, origin=evil) == 403
    assert status(core) == 503
    assert status(core) == 503
    assert core.lobby.refused == {404: 1, 426: 1, 403: 1, 503: 2}
    assert core.lobby.connections == 0


def test_the_origins_of_the_settings_are_allowed() -> None:
    core = open_core("--origin", "http://friend.example")
    assert status(core, origin="http://friend.example") == 101
    assert status(core, origin="http://evil.example") == 403


def test_the_last_descriptors_seat_nobody_and_the_very_last_are_not_even_asked(
    core: ServerCore[Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1000, 1000))
    refusals = [core.admit(GOOD, "main", "::1", START, descriptor) for descriptor in (935, 936, 967)]
    assert [refusal and int(refusal.status) for refusal in refusals] == [None, 503, 503]
    assert core.turn_away(967) is None
    answer = core.turn_away(968)
    assert answer is not None
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 2\r\n" in head
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in head
    assert core.lobby.refused == {503: 3}


RATES = ("20", "60", "29.97", "0.7", "1000")


def due_times(rate: str, phase: float, started_us: int, from_us: int, room: int) -> list[int]:
    """Return due times from a moment on of the ``room``-th room of a server that was started at another."""
    core: ServerCore[Visitor] = ServerCore(
        parse_arguments("asyncio", ["--tick-rate", rate, "--phase", str(phase)]), started_us, 5
    )
    for number in range(room):
        core.open_room(f"room-{number}", started_us)
    _, schedule = core.open_room("the room", started_us + 123_457)
    core.scores.close()
    schedule.resume(from_us)
    return [schedule.due_us(schedule.n + number) for number in range(100)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("phase", [0, 0.33, 0.999])
@pytest.mark.parametrize("room", [0, 1, 5])
def test_with_a_phase_due_times_lie_on_the_grid_since_1970(rate: str, phase: float, room: int) -> None:
    period_us = 1_000_000 / Fraction(rate)
    wanted_us = Fraction((phase + room * GOLDEN_RATIO) % 1) * period_us
    for due_us in due_times(rate, phase, NOWADAYS_US, NOWADAYS_US + 3 * DAY_US, room):
        assert apart_us(due_us, wanted_us, period_us) <= 3, "which are microseconds"


@pytest.mark.parametrize("rate", RATES)
def test_two_servers_are_apart_by_their_phases_whenever_they_were_started(rate: str) -> None:
    period_us, look_us = 1_000_000 / Fraction(rate), NOWADAYS_US + 30 * DAY_US
    early = due_times(rate, 0, NOWADAYS_US, look_us, 0)
    late = due_times(rate, 0.33, NOWADAYS_US + 7 * DAY_US + 11_111, look_us, 0)
    for one, other in zip(early, late, strict=True):
        assert apart_us(other - one, Fraction(33, 100) * period_us, period_us) <= 3


def apart_us(one_us: int, other_us: Fraction, period_us: Fraction) -> Fraction:
    distance_us = (one_us - other_us) % period_us
    return min(distance_us, period_us - distance_us)


def test_of_a_period_in_whole_microseconds_due_times_are_to_the_microsecond() -> None:
    assert {due_us % 50_000 for due_us in due_times("20", 0.33, NOWADAYS_US + 7, NOWADAYS_US + DAY_US, 0)} == {16_500}


def test_without_a_phase_due_times_count_from_the_start(core: ServerCore[Visitor]) -> None:
    assert core.open_room("main", START + 50_001)[1].t0_us == START + 100_000


@pytest.mark.parametrize(
    ("budget", "busy_us", "answer"),
    [("0.8", 37_000, 101), ("0.8", 41_000, 503), ("0", 49_000, 101), ("2", 49_000, 101)],
)
def test_over_the_tick_budget_newcomers_are_refused(budget: str, busy_us: int, answer: int) -> None:
    core = open_core("--tick-budget", budget)
    now_us = busy_ticks(core, busy_us)
    assert status(core, now_us=now_us) == answer
    assert status(core, now_us=now_us + 2_000_000) == 101, "the last second was idle"


def test_of_8000_who_enter_within_a_second_only_those_get_in_whom_the_ticks_have_time_for(
    core: ServerCore[Visitor],
) -> None:
    """They come one after the other, 400 between two ticks, each of which takes 13 us for everybody who is in."""
    now_us, refused = START, 0
    for _ in range(20):
        members = len(core.roster.entered)
        core.ticks.record(now_us, 0, 0, now_us + 300, now_us + 300 + 13 * members, 50_000, members)
        for _ in range(400):
            if core.refuse_entry(now_us := now_us + 125):
                refused += 1
            else:
                core.roster.entered.add(len(core.roster.entered))
    members = len(core.roster.entered)
    assert 0.75 * 50_000 < 300 + 13 * members < 0.85 * 50_000
    assert refused == 8000 - members


def test_of_too_many_without_a_name_those_who_came_first_make_room(core: ServerCore[Visitor]) -> None:
    visitors = [Visitor(serial) for serial in range(503)]
    for visitor in visitors:
        core.roster.add(visitor, START)
    for turn_us in range(START, START + UNNAMED_US, 100_000):
        core.stalls.note_turn(turn_us)
    assert core.crowd_out(START + UNNAMED_US - 1) == []
    assert core.crowd_out(START + UNNAMED_US) == visitors[:3]
    assert core.counters.busy_closed == 3


def test_who_is_to_make_room_when_the_server_was_held_up_has_a_second_more(core: ServerCore[Visitor]) -> None:
    """Their names may lie unread; but a server that is held up again and again sends them away all the same."""
    visitors = [Visitor(serial) for serial in range(503)]
    for visitor in visitors:
        core.add(visitor, START)
    now_us = START + UNNAMED_US
    core.stalls.note(START, now_us)
    assert core.crowd_out(now_us) == []
    assert core.counters.busy_closed == 0
    core.stalls.note(now_us, now_us + SPARED_US)
    assert core.crowd_out(now_us + SPARED_US - 1) == []
    assert core.crowd_out(now_us + SPARED_US) == visitors[:3]
    assert core.counters.busy_closed == 3


def test_who_has_more_time_to_make_room_loses_none_of_what_everybody_has(core: ServerCore[Visitor]) -> None:
    """Others leave meanwhile: then nobody needs to go, and the limit that all have holds."""
    visitors = [Visitor(serial) for serial in range(501)]
    for visitor in visitors:
        visitor.session = Session(ConnectionLimits(), START, core.stalls)
        core.add(visitor, START)
    core.stalls.note(START, START + UNNAMED_US)
    assert core.crowd_out(START + UNNAMED_US) == []
    core.roster.remove(visitors[-1])
    assert core.crowd_out(START + UNNAMED_US + SPARED_US) == []
    assert core.roster.pop_due(START + 9_900_000) == []
    assert visitors[0] in core.roster.pop_due(START + 10_000_000)


def test_nobody_is_to_make_room_for_time_in_which_the_server_stood_still() -> None:
    """A minute in which it took no CPU time; then it computes all the time."""
    went_on_us = START + 60_000_000
    clock = [went_on_us]
    core: ServerCore[Visitor] = ServerCore(
        parse_arguments("asyncio", ["--max-unnamed", "1"]), START, 5, cpu_us=lambda: clock[0] - went_on_us
    )
    visitors = [Visitor(serial) for serial in range(2)]
    for visitor in visitors:
        core.add(visitor, START)
    gone = {}
    for clock[0] in range(went_on_us, went_on_us + 3_000_000, 100_000):
        core.stalls.note_turn(clock[0])
        gone[clock[0] - went_on_us] = core.crowd_out(clock[0])
    assert {after_us for after_us, who in gone.items() if who} == {UNNAMED_US + SPARED_US}
    core.scores.close()


def test_without_a_tick_budget_everybody_gets_in() -> None:
    core = open_core("--tick-budget", "0")
    core.ticks.record(START, 0, 0, START, START + 49_000, 50_000, 300)
    core.roster.entered.update(range(8000))
    assert core.refuse_entry(START + 50_000) is None
    assert status(core, now_us=START + 50_000) == 101


def test_who_did_not_take_a_frame_is_told_and_counted(core: ServerCore[Visitor]) -> None:
    told: list[int] = []
    slow = SimpleNamespace(skip=told.append)
    core.note_tick(DueTick(7, START, 250, 1), START + 300, START + 900, 50_000, 5, [slow, slow])
    assert told == [START + 900] * 2
    assert (core.counters.frames_sent, core.counters.slow_skips) == (3, 2)
    assert core.ticks.report()["count"] == 1


def test_rooms_get_due_times_out_of_step(core: ServerCore[Visitor]) -> None:
    now_us = START + 123_456
    starts = []
    for name in ("main", "den", "pit"):
        room, schedule = core.open_room(name, now_us)
        assert room.name == name
        assert core.schedules[name] is schedule
        assert now_us <= schedule.t0_us < now_us + 50_000
        starts.append((schedule.t0_us - START) % 50_000)
    assert starts == [0, 30_902, 11_803]


def test_a_forgotten_room_is_gone_with_its_due_times(core: ServerCore[Visitor]) -> None:
    room, _ = core.open_room("main", START)
    core.forget_room(room)
    core.forget_room(room)
    assert (core.lobby.rooms, core.schedules) == ({}, {})
    again, schedule = core.open_room("main", START)
    assert again is not room
    assert core.schedules == {"main": schedule}


def test_what_connections_and_rooms_held_is_given_back_when_many_have_ended(core: ServerCore[Visitor]) -> None:
    given_back: list[bool] = []
    core.heap = Heap(lambda: given_back.append(True))
    for number in range(ENDINGS // 2):
        assert status(core, f"r{number}") == 101
        room, _ = core.open_room(f"r{number}", START)
        core.release(room.name, "::1", START)
        core.heap.tidy(0, 0, START)
        assert not given_back
        core.forget_room(room)
    core.heap.tidy(0, 0, START)
    assert given_back


def test_what_echoes_held_is_given_back_when_a_few_have_ended(core: ServerCore[Visitor]) -> None:
    given_back: list[bool] = []
    core.heap = Heap(lambda: given_back.append(True))
    for _ in range(ENDINGS // OF_AN_ECHO):
        core.heap.tidy(0, 0, START)
        assert not given_back
        core.release(None, "::1", START)
    core.heap.tidy(0, 0, START)
    assert given_back


def test_settings_reach_the_rooms(tmp_path: Path) -> None:
    core = open_core("--field", "30x20", "--bots", "2", "--pad", "5", "--scores", str(tmp_path / "top.db"))
    core.scores.save("main", [("ann", 9)])
    room, schedule = core.open_room("main", START)
    assert (game_of(room).world.rules.width, game_of(room).world.rules.bots) == (30, 2)
    assert game_of(room).world.top_scores.rows == [("ann", 9)]
    assert schedule.tick_rate_hz == 20
    step(room)
    assert b'["pad","....."]' in room.frame(0, 0, 0)
    core.scores.close()


def test_a_scores_file_that_is_none_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("x" * 2000)
    with pytest.raises(ValueError, match="can't be used for scores"):
        open_core("--scores", str(tmp_path / "notes"))


def test_a_tick_in_the_middle_of_which_the_process_stood_still_is_no_load() -> None:
    computed_us = 0
    config = parse_arguments("asyncio", ["--tick-budget", "0.8"])
    core: ServerCore[Visitor] = ServerCore(config, START, 5, list, lambda: computed_us)
    due = DueTick(1, START + 1, 0, 0)
    core.note_tick(due, START + 1000, START + 10_000_000, 50_000, 1, [])
    assert status(core, now_us=START + 10_000_000) == 101
    computed_us += 10_000_000
    due = DueTick(2, START + 10_000_000, 0, 0)
    core.note_tick(due, START + 10_001_000, START + 20_000_000, 50_000, 1, [])
    assert status(core, now_us=START + 20_000_000) == 503, "one that computed as long is"
    core.scores.close()
