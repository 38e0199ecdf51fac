"""Whatever wakes the loop, a tick never begins before it is due, and none of several rooms waits for another."""

import pytest

from shared.server.config import LOOPS
from tests.conftest import Serve, Share
from tests.support.server import RunningServer, wait_until

pytestmark = pytest.mark.differs("thread")

CLOCKS = ("timerfd", "loop")
PERIOD_US = 20_000


@pytest.fixture(params=CLOCKS)
def clock(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=[0, 1], ids=["usual-loop", "other-loop"])
def timed(share: Share, backend: str, clock: str, request: pytest.FixtureRequest) -> RunningServer:
    return share("--loop", LOOPS[backend][request.param], "--clock", clock, "--tick-rate", "50")


def test_no_tick_begins_before_it_is_due(timed: RunningServer, room: str) -> None:
    player = timed.enter(room)
    for _ in range(30):
        tick = player.next_tick()
        assert tick.sent_us >= tick.due_us
    assert timed.stats()["ticks"]["start_lateness_ms"]["count"] >= 30


def test_with_a_phase_ticks_are_due_at_it_on_the_grid_since_1970(serve: Serve) -> None:
    with serve("--tick-rate", "50", "--phase", "0.33") as server:
        first, second = server.enter("first"), server.enter("second")
        for player, phase_us in ((first, 6_600), (second, 6_600 + 12_361)):
            assert {player.next_tick().due_us % PERIOD_US for _ in range(5)} == {phase_us}
        assert server.stats()["settings"]["phase"] == 0.33


def test_many_rooms_tick_at_their_own_times(timed: RunningServer, room: str) -> None:
    players = [timed.enter(f"{room}-{number}") for number in range(12)]
    starts_us = set()
    for player in players:
        ticks = [player.next_tick() for _ in range(10)]
        assert all(tick.sent_us >= tick.due_us for tick in ticks)
        starts_us.add(ticks[-1].due_us % PERIOD_US)
    assert len(starts_us) == 12


def test_a_room_that_stood_still_goes_on(timed: RunningServer, room: str) -> None:
    stays = timed.enter(f"{room}-stays")
    for _ in range(5):
        player = timed.enter(room)
        first = player.next_tick()
        assert player.next_tick().n > first.n
        player.hang_up()
        wait_until(lambda: all(of["members"] == 0 for of in timed.stats()["rooms"] if of["name"] == room))
        assert stays.next_tick().sent_us >= stays.ticks[-1].due_us


def test_what_wakes_the_loop_and_which_it_is_is_told(timed: RunningServer) -> None:
    settings = timed.stats()["settings"]
    assert settings["clock"] in CLOCKS
    assert settings["loop"] in LOOPS[timed.backend]
