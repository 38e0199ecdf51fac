"""
What a loop design may not cost, whichever it is: what ends a loop ends its room at most, and leaves nothing behind.

The rest of its promises are those of every other test here.
"""

import os
import random
import signal
import socket
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from shared.server.children import place_of_room
from tests.conftest import FULL_SIZE, Arm, Serve
from tests.support.bystander import undisturbed
from tests.support.client import CLOSE, client_frame
from tests.support.player import Player
from tests.support.server import RunningServer, stands_still, wait_until

TIMES = 50 if FULL_SIZE else 3
RATE_HZ = 50
QUICK = ("--tick-rate", str(RATE_HZ), "--tick-budget", "0")


@pytest.fixture
def chance() -> random.Random:
    return random.Random(5)


def wait_for_the_stalled(server: RunningServer, arm: Arm) -> None:
    """Wait until who reads nothing holds up its room, or, where its framework waits for nobody, see that it doesn't."""
    if not arm.waits_for_nobody:
        wait_until(partial(stands_still, server, "main"))
        return
    wait_until(lambda: server.room_stats("main") is not None)
    before = server.stats()["ticks"]["count"]
    wait_until(lambda: server.stats()["ticks"]["count"] >= before + 10)
    assert not stands_still(server, "main")


def semaphores() -> set[str]:
    folder = Path("/dev/shm")  # noqa: S108 # where the system keeps them
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_an_empty_room_s_loop_starts_again(serve: Serve) -> None:
    with serve(*QUICK) as server:
        for number in range(5):
            player = server.enter("main", f"player {number}")
            player.join()
            for _ in range(number):
                player.next_tick()
            player.hang_up()
            time.sleep(0.01 * number)
        with undisturbed(server, "main") as last:
            assert last.player_id == 6


def test_an_empty_room_ticks_in_one_mode_and_its_game_stands_still_in_all(serve: Serve, arm: Arm) -> None:
    with serve(*QUICK, "--bots", "3") as server:
        server.enter("main").next_tick()
        server.settle()
        time.sleep(0.1)  # whatever ends by itself ends
        before = server.stats()
        time.sleep(0.3)
        after = server.stats()
        assert (after["ticks"]["count"] > before["ticks"]["count"]) == (arm.mode == "always-on")
        assert after["rooms"][0]["ticks"] == before["rooms"][0]["ticks"]


def test_rooms_that_come_and_go_leave_nothing_behind(serve: Serve, arm: Arm) -> None:
    with serve(*QUICK, "--room-linger", "0.1") as server:
        server.enter("first").next_tick()
        server.settle()
        wait_until(lambda: not server.stats()["rooms"])
        before = server.held()
        for number in range(20):
            server.enter(f"room-{number}").next_tick()
        if arm.mode == "thread":
            assert server.held().threads >= before.threads + 20, "each has a thread"
        server.settle()
        wait_until(lambda: not server.stats()["rooms"])
        wait_until(lambda: server.held().is_within(before))


def test_twenty_starts_and_stops_leave_nothing_behind(serve: Serve, arm: Arm) -> None:
    before = semaphores()
    for _ in range(20 if FULL_SIZE else 3):
        with serve(*QUICK) as server:
            server.enter("main").next_tick()
            started = server.children()
            assert len(started) == (arm.mode == "process")
        _, alive = psutil.wait_procs(started, timeout=0)
        assert not alive
    assert semaphores() <= before


@pytest.mark.parametrize("most", [3, 300])
def test_whoever_leaves_in_the_middle_of_a_fan_out(serve: Serve, chance: random.Random, most: int) -> None:
    """
    The last one leaves a room at a random moment: its loop is ended wherever it is, and starts anew for the next.

    Of 300 it may be between two slices.
    """
    flags = ("--pad", "100", "--tick-rate", "100", "--tick-budget", "0", "--max-rooms", "3", "--max-messages", "1000")
    with serve(*flags) as server:
        with undisturbed(server, "elsewhere") as bystander:
            before = server.held()
            for _ in range(TIMES * 4 if most == 3 else TIMES if FULL_SIZE else 1):
                players = [server.connect("main") for _ in range(chance.randint(most // 3, most))]
                for player in players:
                    player.send(["new_player", "somebody"])
                time.sleep(chance.uniform(0, 0.03))
                for player in players:
                    player.hang_up()
                bystander.ping()  # and reads all ticks: a slow consumer would miss some
            wait_until(lambda: server.stats()["connections"] == 1)
            with undisturbed(server, "main") as last:
                pass
            last.hang_up()
            wait_until(lambda: server.held().is_within(before))
        assert server.stats()["crashed_rooms"] == 0


def test_a_loop_that_is_ended_in_the_middle_of_a_fan_out(serve: Serve, arm: Arm, chance: random.Random) -> None:
    """
    It waits for the one member there is, who reads nothing more and says good-bye: it is ended where it waits.

    Where it is that member's handler who writes, who would not hear that: the peer is just gone.
    """
    with serve("--fanout", "naive", "--pad", "400000", "--close-limit", "0.1", *QUICK, logs=True) as server:
        with undisturbed(server, "elsewhere") as bystander:
            before = server.held()
            for _ in range(TIMES if FULL_SIZE else 1):
                stalled = server.connect("main", receive_buffer_bytes=4096)
                stalled.send(["new_player", "stalled"])
                wait_for_the_stalled(server, arm)
                time.sleep(chance.uniform(0, 0.02))
                if arm.is_deaf_while_it_writes:
                    stalled.hang_up()
                else:
                    stalled.send_raw(client_frame(CLOSE, (1000).to_bytes(2)))
                wait_until(lambda: server.stats()["connections"] == 1)
                stalled.hang_up()
                bystander.ping()
            with undisturbed(server, "main") as last:
                pass
            last.hang_up()
            wait_until(lambda: server.held().is_within(before))
        assert server.stats()["crashed_rooms"] == 0
        assert not server.log


@pytest.mark.differs("condition", "thread", "process")
def test_those_who_read_nothing_and_hang_up_half_way(serve: Serve, arm: Arm) -> None:
    """Whoever waits to write to one of them is woken before its socket is closed."""
    flags = ("--fanout", "naive", "--pad", "400000", "--ping-interval", "0.5", *QUICK)
    with serve(*flags, logs=True) as server:
        stalled = [server.connect("main", receive_buffer_bytes=4096) for _ in range(2)]
        for player in stalled:
            player.send(["new_player", "stalled"])
        wait_for_the_stalled(server, arm)
        for player in stalled:
            player.sock.shutdown(socket.SHUT_WR)
        wait_until(lambda: server.stats()["connections"] == 0)
        with undisturbed(server, "main"):
            pass
        assert not server.log


# Child processes


SAFE, DOOMED = "quiet", "struck"
"""Rooms of different children, if there are two."""


def child_of_safe(server: RunningServer) -> int:
    """Return the pid of the child that has the room: the first one."""
    return min(child.pid for child in server.children())


def child_of_doomed(server: RunningServer, safe: int) -> psutil.Process:
    """Return the other child, which may have come for the one before."""
    (child,) = (child for child in server.children() if child.pid != safe)
    return child


def has_told(server: RunningServer, why: str, times: int) -> bool:
    """Say whether the log has told this, so many times, and nothing else."""
    return server.log.count(why) == server.log.count("\n") == times


def ends_with_1011(player: Player) -> None:
    while (frame := player.receive_frame()).opcode != CLOSE:
        pass
    assert frame.close_code == 1011


@pytest.mark.modes("process")
def test_a_child_that_is_killed_ends_its_rooms_and_no_others(serve: Serve, chance: random.Random) -> None:
    assert (place_of_room(SAFE, 2), place_of_room(DOOMED, 2)) == (0, 1)
    with serve("--workers", "2", *QUICK, logs=True) as server, undisturbed(server, SAFE) as bystander:
        before, safe = server.held(), child_of_safe(server)
        noticed_s = []
        for times in range(1, TIMES + 1):
            players = [server.enter(DOOMED, f"player {number}") for number in range(3)]
            stranger = server.connect(DOOMED)
            players[0].join()
            time.sleep(chance.uniform(0, 0.05))
            killed_s = time.monotonic()
            child_of_doomed(server, safe).kill()
            for player in (*players, stranger):
                ends_with_1011(player)
            noticed_s.append(time.monotonic() - killed_s)
            for player in (*players, stranger):
                player.hang_up()
            bystander.next_tick()
            wait_until(lambda: server.room_stats(DOOMED) is None)
            wait_until(partial(has_told, server, "was ended by signal 9", times))
        print(f"\n{TIMES} children killed: all were told after {1000 * max(noticed_s):.1f} ms at most")  # noqa: T201 # a figure
        assert max(noticed_s) < (1 / RATE_HZ if FULL_SIZE else 1), "one tick, on a machine that does nothing else"
        with undisturbed(server, DOOMED) as again:
            assert again.player_id == 1
        again.hang_up()
        assert len(server.children()) == 2
        wait_until(lambda: server.held().is_within(before))


@pytest.mark.modes("process")
def test_a_child_that_answers_no_more_is_given_up(serve: Serve) -> None:
    with serve("--workers", "2", "--worker-limit", "0.5", *QUICK, logs=True) as server, undisturbed(server, SAFE):
        player, stranger = server.enter(DOOMED), server.connect(DOOMED)
        child_of_doomed(server, child_of_safe(server)).suspend()
        stranger.send(["new_player", "somebody"])
        for each in (player, stranger):
            ends_with_1011(each)
        wait_until(partial(has_told, server, "has not answered for 0.5 s", 1))
        with undisturbed(server, DOOMED):
            pass


@pytest.mark.modes("process")
def test_a_child_does_not_outlive_its_parent(serve: Serve) -> None:
    with serve("--workers", "2", *QUICK) as server:
        server.enter(SAFE).next_tick()
        server.enter(DOOMED).next_tick()
        started = server.children()
        assert len(started) == 2
        started[0].suspend()  # as one that is stuck in its rules: it looks at its socket no more
        server.signal(signal.SIGKILL)
        server.wait()
        _, alive = psutil.wait_procs(started, timeout=5)
        assert not alive


@pytest.mark.modes("process")
def test_a_child_yields_as_it_is_told_to(serve: Serve) -> None:
    with serve("--worker-nice", "7", *QUICK) as server:
        wait_until(lambda: [child.nice() for child in server.children()] == [os.nice(0) + 7])


@pytest.mark.modes("process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_sent_to_all_is_the_parent_s_to_act_on(serve: Serve, number: signal.Signals) -> None:
    """A Ctrl-C, or a supervisor that ends a whole group: everybody is told 1001 before the children end."""
    with serve(*QUICK, logs=True) as server:
        player = server.enter("main")
        (child,) = server.children()
        player.next_tick()
        child.send_signal(number)
        for _ in range(5):
            player.next_tick()
        assert child.is_running()
        assert os.getpgid(child.pid) == os.getpgid(server.process.pid), "who stops or kills the group has all of it"
        server.signal(signal.SIGTERM)
        assert player.expect_close() == 1001
        server.wait()
        assert not server.log
