"""What importing leaves behind is given back before anybody is served, and garbage is collected where there is much."""

import subprocess
import sys
from collections.abc import Sequence

from shared.system.heap import ENDINGS, LOOK_EVERY_US, LOOKS, TRIM_EVERY_US, Heap

FREED_MIB = 32
PROGRAM = f"""
import gc
from pathlib import Path

from shared.system.heap import settle_heap


def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


left = [bytes(1000) for _ in range({FREED_MIB * 1024})]
last = bytes(1000)  # above them on the heap: the C library gives back by itself only what is at its end
del left
before_mib = resident_mib()
settle_heap()
print(before_mib - resident_mib(), gc.get_freeze_count())
"""


def test_what_is_free_on_the_heap_is_given_back() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=30)
    given_back_mib, frozen = map(float, ran.stdout.split())
    assert given_back_mib > FREED_MIB / 2
    assert frozen > 0


TIDYING = """
import gc

from shared.system.heap import LEAST_BLOCKS, LOOKS, Heap, settle_heap

CONNECTIONS = 3000


class Node:
    def __init__(self):
        self.itself = self


def fulls():
    return gc.get_stats()[2]["collections"]


settle_heap()
heap = Heap()
before = fulls()
heap.collect_much(seats=10, rooms=1)
in_use = [[] for _ in range(100 * CONNECTIONS)]  # Python itself would have looked through all of it by now
for _ in range(LOOKS):
    for _ in range(100):
        frames = [[] for _ in range(20_000)]  # between two looks two million come and go
    heap.collect_much(seats=CONNECTIONS, rooms=1)
print(fulls() - before)
before = fulls()
in_use = [Node() for _ in range(2 * LEAST_BLOCKS)]
in_use.clear()
for _ in range(2 * LOOKS):
    heap.collect_much(seats=10, rooms=1)
print(fulls() - before, gc.collect())
"""


def test_whatever_comes_and_goes_thousands_who_stay_are_not_looked_through_but_garbage_is() -> None:
    ran = subprocess.run([sys.executable, "-c", TIDYING], capture_output=True, text=True, check=True, timeout=30)
    with_thousands, with_garbage = ran.stdout.splitlines()
    assert with_thousands == "0"
    assert with_garbage == "1 0", "all of it is gone, at the first time"


def collections_of(holdings: Sequence[tuple[int, int]], kept: int = 0, *, seated: bool = True) -> int:
    """Return how often garbage is collected of a server with so many blocks and connections, look after look."""
    collected: list[int] = []
    blocks = 0

    def collect() -> None:
        nonlocal blocks
        blocks = min(blocks, kept)
        collected.append(blocks)

    heap = Heap(collect=collect, count_blocks=lambda: blocks, count_descriptors=lambda: connections)
    for number, (blocks, connections) in enumerate(holdings):  # noqa: B007 # heap asks for the blocks
        seats = connections if seated else 0
        heap.tidy(seats, 0, number * LOOK_EVERY_US)
    return len(collected)


START = 200_000
"""Blocks of a server that nobody has come to yet."""


def test_a_crowd_that_comes_stays_and_leaves_little_by_little_is_no_garbage() -> None:
    crowd = [(START + 230 * here, 20 + here) for here in (0, *range(0, 10_000, 1000), *[10_000] * 100)]
    # Who has hung up is not let go of at once.
    leaving = [(START + 230 * held, 20) for held in (8000, 6000, 4000, 2000, 0)]
    assert collections_of(crowd + leaving + crowd + leaving) == 0
    assert collections_of(crowd + leaving + crowd + leaving, seated=False) == 0, "those whose request is not here yet"


def test_beside_thousands_garbage_is_collected_when_it_is_more_than_what_they_hold() -> None:
    with_few = [(START, 20)] + [(START + 100_000, 20)] * LOOKS
    assert collections_of(with_few, kept=START) == 1
    with_thousands = [(START, 20)] + [(START + 230 * 8000 + 100_000, 8020)] * 2 * LOOKS
    assert collections_of(with_thousands) == 0
    with_much = [(START, 20)] + [(START + 230 * 8000 + 3_000_000, 8020)] * (LOOKS + 1)
    assert collections_of(with_much) == 1


def test_what_a_collection_left_is_not_looked_through_again() -> None:
    in_use = [(START, 20)] + [(START + 100_000, 20)] * 10 * LOOKS
    assert collections_of(in_use, kept=START + 100_000) == 1


def test_what_is_free_is_given_back_once_a_second_after_many_endings() -> None:
    times: list[int] = []
    heap = Heap(lambda: times.append(now_us))
    for now_us in range(0, 4 * TRIM_EVERY_US, TRIM_EVERY_US // 10):
        if now_us < 2 * TRIM_EVERY_US:  # many a time
            for _ in range(ENDINGS // 2):
                heap.note_end()
        heap.tidy(10, 1, now_us)
    assert times == [TRIM_EVERY_US // 10, TRIM_EVERY_US * 11 // 10, TRIM_EVERY_US * 21 // 10]


def test_nothing_is_given_back_while_nobody_leaves() -> None:
    given_back: list[bool] = []
    heap = Heap(lambda: given_back.append(True))
    for _ in range(ENDINGS - 1):
        heap.note_end()
    for now_us in range(0, 10 * TRIM_EVERY_US, TRIM_EVERY_US // 10):
        heap.tidy(10, 1, now_us)
    assert not given_back
