"""The planted server errs as its law says, and its record tells it: what comes is read by the tests' own client."""

import itertools
import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtests.surroundings.server_stats import ServerStats
from shared.measure.histogram import Histogram
from tests.loadtests.conftest import Planted, planted
from tests.support.client import CLOSE, PING, PONG, Client, request_bytes, upgrade_headers
from tests.support.planted_law import Law
from tests.support.planted_record import Recorder, Send, read_record
from tests.support.planted_wire import BAD_HANDSHAKES, GARBAGE, Tick, client_frames, garbage

QUICK: dict[str, Any] = {"tick_rate_hz": 200, "spacing_ms": 1.0}


def dial(server: Planted) -> Client:
    return Client(socket.create_connection(("127.0.0.1", server.port)))


def player(server: Planted, target: str = "/connect") -> Client:
    client = dial(server)
    assert client.upgrade(target, {}).status == 101
    client.send(["new_player", "Ann"])
    return client


@contextmanager
def players(server: Planted, count: int) -> Iterator[list[Client]]:
    """So many clients, whose numbers in the record are those in the list."""
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            clients.append(stack.enter_context(player(server)))
            clients[-1].receive_frame()
        yield clients


def next_tick(client: Client) -> list[int]:
    """Return n, due_us and sent_us."""
    name, *figures = client.receive_commands()[0]
    assert name == "tick"
    return figures


def ticks(client: Client, count: int) -> list[list[int]]:
    return [next_tick(client) for _ in range(count)]


def sent_to(server: Planted, connection: int) -> list[Send]:
    return [send for send in server.sends() if send.connection == connection]


# Frames


def test_what_is_dropped_repeated_and_swapped_is_as_recorded(tmp_path: Path) -> None:
    law = Law(**QUICK, drop_every=7, repeat_every=5, swap_every=11, split_every=3, space_every=4, skip_every=13)
    with planted(law, tmp_path) as server, player(server), player(server) as client:
        came = ticks(client, 100)
    sends = sent_to(server, 1)[: len(came)]
    assert [[send.n, send.due_us, send.sent_us] for send in sends] == came
    order = [n for n, *_ in came]
    expected: list[int] = []
    held: list[int] = []
    skipped = set(server.meta().overrun)  # as the machine was busy; n is skipped as by the law
    for n in range(order[0], max(order) + 1):
        if n % 13 == 0 or n in skipped:
            continue
        swapped, held = held, []
        if law.hits(11, n, 1) and n > order[0]:
            held = [n]
        elif not law.hits(7, n, 1) or n == order[0]:
            expected += [n] * (1 + law.hits(5, n, 1))
        expected += swapped
    assert expected[: len(order)] == order
    assert {n for n, *_ in came}.isdisjoint(range(0, 10_000, 13))
    assert all(send.before_us <= send.after_us for send in sends)
    assert all(later.before_us - send.after_us >= law.gap_us for send, later in itertools.pairwise(sends))


def test_frames_come_in_parts_and_with_white_space(tmp_path: Path) -> None:
    law = Law(**QUICK, fragment_every=2, space_every=2)
    with planted(law, tmp_path) as server, player(server) as client:
        seen = set()
        for _ in range(4):
            first, second = client.read(2)
            length = int.from_bytes(client.read(2)) if second == 126 else second
            text = client.read(length)
            if first == 0x01:
                assert client.read(2) == b"\x80\x7e"
                text += client.read(int.from_bytes(client.read(2)))
            n = json.loads(text)[0][1]
            assert text.startswith(b'[["tick", ' if n % 2 == 0 else b'[["tick",%d' % n)
            assert (first == 0x01) == (n % 2 == 0)
            seen.add(n % 2)
    assert seen == {0, 1}


def test_all_of_a_room_get_the_same_bytes_and_rooms_are_apart(tmp_path: Path) -> None:
    with planted(Law(**QUICK), tmp_path) as server, player(server) as one:
        first = one.receive_text()
        with player(server) as two, player(server, "/connect?room=east") as far:
            texts, near = {one.receive_text() for _ in range(40)} | {first}, {two.receive_text() for _ in range(10)}
            n, due_us, _ = next_tick(far)
    assert near <= texts
    assert server.meta().rooms == ["main", "east"]
    sends = {(send.room, send.n): send for send in server.sends()}
    assert sends[1, n].due_us == due_us == sends[0, n].due_us


def test_due_times_are_stated_early_and_very_late(tmp_path: Path) -> None:
    law = Law(**QUICK, early_every=5, early_ms=30, very_late_every=7)
    with planted(law, tmp_path) as server, player(server) as client:
        came = ticks(client, 40)
    stated = [[send.n, send.due_us, send.sent_us] for send in server.sends()]
    assert stated[: len(came)] == came
    started_us = server.meta().started_us
    for n, due_us, sent_us in came:
        if n % 5 == 0:
            assert due_us - sent_us == 30_000
        elif n % 7 == 0:
            assert sent_us - due_us == 61_000_000
        else:
            assert due_us == started_us + law.due_us(n)


def test_a_tick_is_large_another_goes_to_nobody(tmp_path: Path) -> None:
    law = Law(**QUICK, large_every=10, large_bytes=300_000, drop_all_every=8)
    with planted(law, tmp_path) as server, player(server) as client:
        frames = [client.receive_frame() for _ in range(40)]
    sizes = {json.loads(frame.payload)[0][1]: len(frame.payload) for frame in frames}
    assert all((size == 300_000) == (n % 10 == 0) for n, size in sizes.items())
    assert all(n % 8 for n in sizes)
    assert all(n % 8 == 0 for n in server.meta().dropped)


# Times


def test_the_law_of_lateness_gives_its_figures() -> None:
    peaks = Law(lateness={"kind": "two_peaks", "ms": [2, 20], "share": 0.2, "per": "frame", "seed": 4})
    late = [peaks.late_us(n, connection) for n in range(100) for connection in range(100)]
    assert set(late) == {2000, 20_000}
    assert sum(us == 20_000 for us in late) / len(late) == pytest.approx(0.2, abs=0.02)
    tail = Law(lateness={"kind": "heavy_tail", "scale_ms": 1, "alpha": 1.1, "max_ms": 500, "seed": 5})
    late = sorted(tail.late_us(n, 0) for n in range(20_000))
    assert min(late) >= 1000
    assert late[len(late) // 2] == pytest.approx(1000 * 2 ** (1 / 1.1), rel=0.03)
    assert late[-5:] == [500_000] * 5
    assert sum(us == 500_000 for us in late) / len(late) == pytest.approx(500**-1.1, rel=0.5)
    assert tail.late_us(3, 1) == tail.late_us(3, 2)
    with pytest.raises(ValueError, match="unknown kind"):
        Law(lateness={"kind": "never"})


@pytest.mark.parametrize("per", ["tick", "frame"])
def test_frames_are_late_by_the_law_and_keep_their_order(per: str, tmp_path: Path) -> None:
    lateness = {"kind": "heavy_tail", "scale_ms": 2, "alpha": 1.1, "max_ms": 100, "per": per}
    law = Law(tick_rate_hz=100, spacing_ms=2, lateness=lateness)
    with planted(law, tmp_path) as server, players(server, 3) as clients:
        for client in clients:
            ticks(client, 50)
    by_tick = set()
    for connection in range(3):
        sends = sent_to(server, connection)
        assert all(send.before_us >= send.due_us + law.late_us(send.n, connection) for send in sends)
        assert [send.n for send in sends] == sorted({send.n for send in sends})
        gaps = [later.before_us - send.after_us for send, later in itertools.pairwise(sends)]
        assert min(gaps) >= law.gap_us
        by_tick |= {(send.n, law.late_us(send.n, connection)) for send in sends}
    assert (len(by_tick) > len({n for n, _ in by_tick})) == (per == "frame")


@pytest.mark.parametrize("skips", [True, False])
def test_a_stall_is_followed_by_what_is_due_or_by_all(tmp_path: Path, *, skips: bool) -> None:
    law = Law(**QUICK, stall_every=20, stall_ms=40, stall_skips=skips)
    with planted(law, tmp_path) as server, player(server) as client:
        numbers = [n for n, *_ in ticks(client, 60)]
    meta = server.meta()
    assert all(stall.n % 20 == 0 for stall in meta.stalls)
    assert all(stall.ended_us - stall.began_us >= 40_000 for stall in meta.stalls[:-1])  # the end breaks off the last
    for stall in meta.stalls:
        assert not [send for send in server.sends() if stall.began_us < send.before_us < stall.ended_us]
    assert bool(meta.stalled) == skips
    missed = set(range(numbers[0], numbers[-1])) - set(numbers)
    assert missed <= {*meta.stalled, *meta.overrun}
    assert (len(missed) >= 5) == skips or meta.overrun


# Ends and beginnings


def test_connections_end_as_the_law_has_it(tmp_path: Path) -> None:
    # Connection 0 would do all of them: the first in the law's order counts.
    law = Law(**QUICK, close_every=2, close_code=1013, half_close_every=5, reset_every=3, close_after=60)
    with planted(law, tmp_path) as server, players(server, 6) as clients:
        assert clients[2].expect_close() == 1013
        assert clients[4].expect_close() == 1013
        assert not_a_close(clients[0].read_to_eof())
        assert not_a_close(clients[5].read_to_eof())
        with pytest.raises(ConnectionResetError):
            ticks(clients[3], 100)
        ticks(clients[1], 3)
        clients[1].send_frame(CLOSE, struct.pack("!H", 1000))
        assert clients[1].expect_close() == 1000
    ends = {end.connection: (end.how, end.code) for end in server.meta().ends}
    assert ends == {
        0: ("half_close", None), 5: ("half_close", None), 3: ("reset", None),
        2: ("close", 1013), 4: ("close", 1013), 1: ("left", 1000),
    }  # fmt: skip
    assert {len(sent_to(server, connection)) for connection in (0, 2, 3, 4, 5)} == {60}


def not_a_close(data: bytes) -> bool:
    return data.endswith(b'"]]')


def test_handshakes_fail_as_the_law_has_it(tmp_path: Path) -> None:
    law = Law(refuse_every=10, silent_every=9, mute_every=8, bad_handshake=dict.fromkeys(BAD_HANDSHAKES, 7))
    with planted(law, tmp_path) as server, ExitStack() as stack:
        clients = [stack.enter_context(dial(server)) for _ in range(10)]
        for client in clients:
            client.send_raw(request_bytes("GET", "/connect", upgrade_headers({})))
            time.sleep(0.002)  # their order counts
        # Entry j hits where number + j is a multiple of 7: the seventh handshake is the first entry's.
        for j, name in enumerate(BAD_HANDSHAKES):
            expected = BAD_HANDSHAKES[name]
            client = clients[6 - j]
            if name in {"bad_accept", "endless_head"}:
                assert client.read(len(expected)) == expected
                stays_silent(client)
            else:
                assert client.read_to_eof() == expected
        assert clients[9].read_response().status == 503
        assert clients[7].read_response().status == 101
        clients[7].send(["new_player", "Ann"])
        stays_silent(clients[7])
        stays_silent(clients[8])
    meta = server.meta()
    assert (meta.handshakes, meta.refused, meta.silent, meta.mute, meta.players) == (10, 1, 1, 1, 0)
    assert meta.bad_handshakes == dict.fromkeys(BAD_HANDSHAKES, 1)


def stays_silent(client: Client) -> None:
    client.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.read(1)


def test_garbage_comes_once_between_ticks(tmp_path: Path) -> None:
    law = Law(**QUICK, close_after=3, garbage=dict.fromkeys(GARBAGE, len(GARBAGE)))
    with planted(law, tmp_path) as server, ExitStack() as stack:
        clients = [stack.enter_context(player(server)) for _ in GARBAGE]
        time.sleep(0.2)
        received = [read_what_came(client) for client in clients]
    noises = {noise.name: noise.connection for noise in server.meta().garbage}
    assert sorted(noises) == sorted(GARBAGE)
    for name, connection in noises.items():
        data = received[connection]
        last = sent_to(server, connection)[2]
        expected = garbage(name, Tick(last.room, last.n, last.due_us, last.sent_us))
        assert data.count(expected) == 1, name
        if name == "truncated":
            assert data.endswith(expected)
        else:
            assert len(sent_to(server, connection)) > 3
    assert b"\xff" in received[noises["bad_utf8_tick"]]


def read_what_came(client: Client) -> bytes:
    client.sock.setblocking(False)  # noqa: FBT003 - socket's own
    return client.sock.recv(4 * 1024 * 1024)


# What else it says


def test_pongs_are_counted(tmp_path: Path) -> None:
    with planted(Law(**QUICK, ping_every=4), tmp_path) as server, player(server) as client:
        client.answers_pings = False
        answered = 0
        while answered < 5:
            if (frame := client.receive_frame()).opcode == PING:
                client.send_frame(PONG, frame.payload)
                answered += 1
        client.send_frame(PONG, b"nobody asked")
        client.send_frame(PING, b"are you there")
        while client.receive_frame() != (PONG, b"are you there"):
            pass
    meta = server.meta()
    assert (meta.pongs, meta.bad_pongs) == (5, 1)
    assert meta.pings >= 5


def test_newcomers_are_welcomed_and_pings_answered(tmp_path: Path) -> None:
    law = Law(**QUICK, welcome=True, pongs=True, clock_shift_us=7_000_000_000)
    with planted(law, tmp_path) as server, player(server) as client:
        commands = client.receive_commands()
        assert [command[0] for command in commands] == ["handshake", "world", "top_scores"]
        assert commands[0][1:] == ["Ann", 1]
        _, due_us, sent_us = next_tick(client)
        client.send(["ping", 12.5])
        name, sent, server_us = pong_among(client)
        assert (name, sent) == ("pong", 12.5)
    shifted_us = time.time_ns() // 1000 + law.clock_shift_us
    assert all(shifted_us - 10_000_000 < us < shifted_us for us in (due_us, sent_us, server_us))
    first = server.sends()[0]
    assert first.due_us == due_us
    assert first.before_us < due_us


def pong_among(client: Client) -> list[Any]:
    while (commands := client.receive_commands())[0][0] == "tick":
        pass
    return commands[0]


def test_the_page_of_figures_decodes(tmp_path: Path) -> None:
    claims: dict[str, Any] = {"claim_slow_skips": 9, "claim_skipped_ticks": 4, "claim_after_s": 0.1}
    law = Law(**QUICK, **claims, stats=True, boot_id="elsewhere", clock_shift_us=5_000_000)
    with planted(law, tmp_path) as server:
        before = stats_of(server)
        with player(server) as client:
            ticks(client, 40)
            after = stats_of(server)
    own_offset_us = (time.time_ns() - time.monotonic_ns()) // 1000
    assert before.boot_id == "elsewhere"
    assert before.clock_offset_us - own_offset_us == pytest.approx(5_000_000, abs=100_000)
    assert (before.connections, before.slow_skips, before.ticks.skipped_ticks, before.rooms) == (0, 0, 0, [])
    assert (after.connections, after.slow_skips, after.ticks.skipped_ticks) == (1, 9, 4)
    assert [(room.name, room.skipped_ticks) for room in after.rooms] == [("main", 4)]
    assert after.ticks.count >= 40
    assert Histogram.from_summary(after.ticks.fanout_ms).count == 0
    assert after.process.cpu_s >= before.process.cpu_s > 0


def stats_of(server: Planted) -> ServerStats:
    with dial(server) as client:
        client.send_raw(request_bytes("GET", "/stats", {"Host": "x"}))
        return msgspec.json.decode(client.read_response().body, type=ServerStats)


def test_without_figures_there_is_no_such_page(tmp_path: Path) -> None:
    with planted(Law(), tmp_path) as server, dial(server) as client:
        client.send_raw(request_bytes("GET", "/stats", {"Host": "x"}))
        assert client.read_response().status == 404


# Peers that do not read


def test_a_peer_that_does_not_read_misses_ticks_and_no_byte(tmp_path: Path) -> None:
    with planted(Law(**QUICK, pad_bytes=200_000), tmp_path) as server, players(server, 2) as (slow, brisk):
        ticks(brisk, 100)
        numbers = [n for n, *_ in ticks(slow, 50)]  # whole frames, though the first ones were taken in pieces
        ticks(brisk, 5)
    meta = server.meta()
    missed = {n for connection, n in meta.blocked_ticks if connection == 0}
    assert meta.blocked == len(meta.blocked_ticks) >= len(missed) > 0
    assert missed.isdisjoint(numbers)
    assert set(range(numbers[0], numbers[-1] + 1)) - set(numbers) <= missed | set(meta.overrun)
    sends = sent_to(server, 0)
    assert [send.n for send in sends][1 : len(numbers) + 1] == numbers
    assert max(send.after_us - send.before_us for send in sends) > 1000


# The record


def test_a_record_reads_as_it_was_written(tmp_path: Path) -> None:
    recorder = Recorder()
    for tick in (Tick(0, 5, 100, 200), Tick(1, 5, 101, 201), Tick(0, 6, 300, 400)):
        recorder.begin(tick)
        for connection in range(tick.n - 3):
            recorder.rows.extend((connection, tick.sent_us * 1000 + 999, tick.sent_us * 1000 + 1000))
    recorder.write(tmp_path / "record")
    sends = read_record(tmp_path / "record")
    assert len(sends) == 2 + 2 + 3
    assert sends[2] == Send(0, 5, 101, 201, 202, room=1, sent_us=201)
    assert sends[-1] == Send(2, 6, 300, 400, 401, room=0, sent_us=400)


def test_frames_of_clients_are_taken_as_they_come() -> None:
    whole = bytearray(b"\x81\x85\x01\x02\x03\x04" + bytes(a ^ b for a, b in zip(b"hello", b"\1\2\3\4\1", strict=True)))
    part = bytearray(whole[:4])
    assert list(client_frames(part)) == []
    assert list(client_frames(whole + part)) == [(1, b"hello")]
