"""One who stops reading is nobody else's trouble."""

from tests.conftest import Serve
from tests.support.bystander import assert_every_tick_came
from tests.support.server import wait_until


def test_one_who_does_not_read_holds_up_nobody(serve: Serve) -> None:
    with serve("--pad", "20000", "--tick-rate", "50", "--tick-budget", "0") as server:
        others = [server.enter("main") for _ in range(3)]
        others[0].join()
        stalled = server.connect("main", receive_buffer_bytes=4096)
        stalled.send(["new_player", "stalled"])

        def is_skipped() -> bool:
            for other in others:
                other.next_tick()  # they read on meanwhile
            return bool(server.stats()["slow_skips"] > 3)

        wait_until(is_skipped, 20)
        last = max(other.ticks[-1].n for other in others) + 10
        for other in others:
            other.until(lambda tick: tick.n >= last)
            assert_every_tick_came(other, server, "main")
        assert server.room_stats("main")["members"] == 4  # type: ignore[index] # it is open: they are in it


def test_one_who_reads_again_finds_whole_frames(serve: Serve) -> None:
    with serve("--pad", "20000", "--tick-rate", "50", "--tick-budget", "0") as server:
        slow = server.connect("main", receive_buffer_bytes=4096)
        slow.send(["new_player", "slow"])
        wait_until(lambda: server.stats()["slow_skips"] > 3, 20)
        slow.board.apply(slow.receive_commands())  # the welcome
        tick = slow.next_tick()
        while (later := slow.next_tick()).n == tick.n + 1:
            assert later.named("pad") == tick.named("pad")
            tick = later
        assert later.n > tick.n
        assert len(later.named("pad")[0][1]) == 20000
