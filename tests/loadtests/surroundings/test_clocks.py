import subprocess
import sys
from itertools import count

import msgspec
import pytest

from loadtests.receive.stamps import now_us
from loadtests.surroundings.clocks import PING_MEMORY_US, STEP_US, OffsetWatch, ServerClock, is_here
from shared.system.boot import boot_id
from tests.loadtests.surroundings.test_server_stats import decoded

OFFSET_US = 1_700_000_000_000_000


class Clocks:
    """A monotonic clock that goes on by a microsecond with each reading, and a wall clock beside it."""

    def __init__(self) -> None:
        self._ticks = count(1_000_000_000, 1000)
        self.offset_ns = OFFSET_US * 1000

    def monotonic_ns(self) -> int:
        return next(self._ticks)

    def wall_ns(self) -> int:
        return next(self._ticks) + self.offset_ns


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def watch(clocks: Clocks) -> OffsetWatch:
    return OffsetWatch(clocks.wall_ns, clocks.monotonic_ns)


# Whether the server is here


@pytest.mark.parametrize(
    ("boot", "offset_us", "now_us", "same"),
    [
        (None, OFFSET_US, 1_000, True),
        (None, OFFSET_US + 7_000, 8_000, True),  # it began before somebody set the clock
        (None, OFFSET_US + 7_000, 1_000, False),
        (None, OFFSET_US - 10**9, 1_000, False),  # in a time namespace: another monotonic clock, the same wall clock
        (None, OFFSET_US, 2_500, True),
        (None, OFFSET_US, 4_001, False),
        (None, OFFSET_US, 0, True),
        ("another", OFFSET_US, 1_000, False),
    ],
)
def test_a_server_is_here_if_its_boot_id_and_its_clock_are_ours(
    boot: str | None, offset_us: int, now_us: int, same: bool
) -> None:
    stats = decoded(boot_id=boot or boot_id() or "", clock_offset_us=offset_us, now_us=10**9 + now_us)
    stats = msgspec.structs.replace(stats, asked_us=10**9 + 1_000, answered_us=10**9 + 3_000)
    assert is_here(stats, OFFSET_US) is same


IN_A_NAMESPACE = ["unshare", "--time", "--monotonic", "1000", "--fork"]


@pytest.mark.unshare(*IN_A_NAMESPACE)
def test_a_process_in_a_time_namespace_has_another_clock_and_the_same_boot_id() -> None:
    script = (
        "import time, pathlib\n"
        "offset_us = (time.time_ns() - time.monotonic_ns()) // 1000\n"
        "print(pathlib.Path('/proc/sys/kernel/random/boot_id').read_text().strip(), offset_us,\n"
        "      offset_us + time.monotonic_ns() // 1000)"
    )
    own = OffsetWatch()
    for command, same in (([], True), (IN_A_NAMESPACE, False)):
        asked_us = now_us()
        said = subprocess.run(
            [*command, sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=20
        ).stdout.split()
        stats = decoded(boot_id=said[0], clock_offset_us=int(said[1]), now_us=int(said[2]))
        assert said[0] == boot_id()
        answered = msgspec.structs.replace(stats, asked_us=asked_us, answered_us=now_us())
        assert is_here(answered, own.offset_us) is same


# Our own


def test_the_offset_is_that_of_the_two_clocks(watch: OffsetWatch) -> None:
    assert watch.offset_us == OFFSET_US
    watch.sample()
    assert watch.step_us == 0


def test_steps_add_up_to_and_fro(clocks: Clocks, watch: OffsetWatch) -> None:
    for step_us, sum_us in ((50, 0), (-50, 0), (STEP_US, 0), (STEP_US + 1, 101), (-2000, 2101), (500, 2601)):
        clocks.offset_ns += step_us * 1000
        watch.sample()
        assert watch.step_us == sum_us


def test_a_clock_that_is_slewed_is_not_stepped(clocks: Clocks, watch: OffsetWatch) -> None:
    for _ in range(100):
        clocks.offset_ns += 40_000
        watch.sample()
    assert watch.step_us == 0
    assert watch.offset_us == OFFSET_US + 4000


def test_the_quickest_reading_counts(clocks: Clocks) -> None:
    delays = iter([5_000_000, 0, 7_000_000, 9_000_000, 1_000_000])

    def wall_ns() -> int:
        delay = next(delays)
        now = clocks.wall_ns()
        for _ in range(delay // 1000):
            clocks.monotonic_ns()
        return now

    assert OffsetWatch(wall_ns, clocks.monotonic_ns).offset_us == OFFSET_US


def test_the_correction_makes_the_server_s_time_of_ours(watch: OffsetWatch) -> None:
    clock = ServerClock(watch, OFFSET_US + 250)
    assert clock.correction_us == 250
    assert clock.now_us(1000) == 1250
    assert clock.uncertainty_us == 0
    assert not clock.is_estimated


def test_after_a_step_the_correction_is_another(clocks: Clocks, watch: OffsetWatch) -> None:
    clock = ServerClock(watch, OFFSET_US)
    clocks.offset_ns += 1_500_000
    assert clock.correction_us == 0, "the clocks are looked at once a second"
    clock.update()
    assert clock.correction_us == -1500
    assert watch.step_us == 1500


def test_without_stats_the_server_s_clock_is_taken_for_ours(clocks: Clocks, watch: OffsetWatch) -> None:
    clock = ServerClock(watch, watch.offset_us)
    assert (clock.correction_us, clock.uncertainty_us) == (0, 0)
    clocks.offset_ns -= 3_000_000
    clock.update()
    # A server that reads its clock once goes on by the old one, whatever ours is set to.
    assert clock.now_us(OFFSET_US) == OFFSET_US + 3000


def test_pings_tell_nothing_new_of_a_clock_that_is_known(watch: OffsetWatch) -> None:
    clock = ServerClock(watch, OFFSET_US)
    clock.learn(0, 900_000, 100)
    clock.update()
    assert (clock.correction_us, clock.uncertainty_us) == (0, 0)


# The server's, on another host


@pytest.fixture
def remote(watch: OffsetWatch) -> ServerClock:
    return ServerClock(watch, None)


def ping(clock: ServerClock, at_us: int, rtt_us: int, ahead_us: int, skew_us: int = 0) -> None:
    """Let a ping come back at ``at_us``; the way there took ``skew_us`` longer than half of the round trip."""
    there_us = rtt_us // 2 + skew_us
    sent_us = at_us - rtt_us
    clock.learn(sent_us, sent_us + there_us + ahead_us, at_us)


def test_at_first_nothing_is_known(remote: ServerClock) -> None:
    assert remote.is_estimated
    assert (remote.correction_us, remote.uncertainty_us) == (0, None)
    remote.begin()
    remote.update()
    assert (remote.correction_us, remote.uncertainty_us) == (0, None)


def test_the_ping_with_the_least_round_trip_counts(remote: ServerClock) -> None:
    ping(remote, 1_000_000, rtt_us=8000, ahead_us=5000, skew_us=3000)
    ping(remote, 1_020_000, rtt_us=400, ahead_us=5000, skew_us=150)
    ping(remote, 1_040_000, rtt_us=900, ahead_us=5000, skew_us=-400)
    assert remote.correction_us == 0, "until the clocks are looked at"
    remote.update()
    assert remote.correction_us == 5150
    assert remote.uncertainty_us == 201
    assert abs(remote.correction_us - 5000) <= remote.uncertainty_us


@pytest.mark.parametrize("rtt_us", [0, 1, 2, 7, 1000, 1001])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_truth_is_never_further_off_than_the_uncertainty(remote: ServerClock, rtt_us: int, share: float) -> None:
    sent_us, ahead_us = 77, -123_456_789
    remote.learn(sent_us, sent_us + round(share * rtt_us) + ahead_us, sent_us + rtt_us)
    remote.update()
    assert remote.uncertainty_us is not None
    assert abs(remote.correction_us - ahead_us) <= remote.uncertainty_us


def test_old_pings_are_forgotten(remote: ServerClock) -> None:
    ping(remote, 1_000_000, rtt_us=100, ahead_us=5000)
    ping(remote, 1_000_000 + PING_MEMORY_US, rtt_us=500, ahead_us=6000)
    remote.update()
    assert remote.correction_us == 5000, "it is just young enough"
    ping(remote, 1_000_001 + PING_MEMORY_US, rtt_us=700, ahead_us=7000)
    remote.update()
    assert remote.correction_us == 6000


def test_the_uncertainty_is_the_worst_since_the_window_began(remote: ServerClock) -> None:
    for at_us, rtt_us, uncertainty_us in ((0, 9000, 4501), (1, 200, 4501)):
        ping(remote, at_us, rtt_us, ahead_us=0)
        remote.update()
        assert remote.uncertainty_us == uncertainty_us
    remote.begin()
    assert remote.uncertainty_us == 101, "what was uncertain before is forgotten"
    ping(remote, 2 + PING_MEMORY_US, rtt_us=600, ahead_us=0)
    remote.update()
    assert remote.uncertainty_us == 301
    ping(remote, 3 + PING_MEMORY_US, rtt_us=20, ahead_us=0)
    remote.update()
    assert remote.uncertainty_us == 301


def test_a_step_of_our_clock_leaves_the_estimate_and_intervals_alone(clocks: Clocks, remote: ServerClock) -> None:
    ping(remote, 1_000_000, rtt_us=100, ahead_us=5000)
    remote.update()
    clocks.offset_ns += 70_000_000
    remote.update()
    assert (remote.steady_us, remote.ahead_us, remote.correction_us) == (-70_000, 5000, -65_000)
    ping(remote, 1_070_000, rtt_us=80, ahead_us=5000 - 70_000)  # the same server, by our new clock
    remote.update()
    assert (remote.steady_us, remote.ahead_us) == (-70_000, 5000)


def test_pings_around_a_step_of_our_clock_are_not_believed(clocks: Clocks, remote: ServerClock) -> None:
    ping(remote, 1_000_000, rtt_us=100, ahead_us=5000)
    remote.update()
    clocks.offset_ns += 900_000
    ping(remote, 1_020_900, rtt_us=10, ahead_us=5000 - 900)  # sent and answered before anybody looked at the clock
    remote.update()
    assert (remote.steady_us, remote.ahead_us) == (-900, 5000)
    ping(remote, 1_040_900, rtt_us=10, ahead_us=5000 - 900)
    remote.update()
    assert (remote.steady_us, remote.ahead_us) == (-900, 5000)
    assert remote.uncertainty_us == 51


def test_what_is_steady_does_not_change_with_the_estimate(remote: ServerClock) -> None:
    for at_us, rtt_us, ahead_us in ((1_000_000, 900, 5000), (1_020_000, 500, 5400), (1_040_000, 100, 4700)):
        ping(remote, at_us, rtt_us, ahead_us)
        remote.update()
        assert (remote.steady_us, remote.ahead_us) == (0, ahead_us)


def test_a_ping_that_came_back_before_it_was_sent_is_none(remote: ServerClock) -> None:
    remote.learn(1000, 5000, 999)
    remote.update()
    assert (remote.correction_us, remote.uncertainty_us) == (0, None)
