"""What importing leaves behind is given back before anybody is served, and garbage is collected where there is much."""

import subprocess
import sys

from shared.heap import ENDINGS, TRIM_EVERY_US, Heap

FREED_MIB = 32
PROGRAM = f"""
import gc
from pathlib import Path

from shared.heap import settle_heap


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

from shared.heap import LEAST_OBJECTS, settle_heap, collect_much


class Node:
    def __init__(self):
        self.itself = self


settle_heap()
full_before = gc.get_stats()[2]["collections"]
in_use = [[] for _ in range(4 * LEAST_OBJECTS)]  # Python itself would have looked through all of it by now
print(gc.get_stats()[2]["collections"] - full_before)
print(collect_much(connections=4 * LEAST_OBJECTS // 60))  # that many have come
print(collect_much(connections=10), collect_much(connections=10))
for _ in range(2 * LEAST_OBJECTS):
    Node()
print(collect_much(connections=10), gc.collect())
"""


def test_there_are_full_collections_only_where_there_is_much_beside_what_is_in_use() -> None:
    ran = subprocess.run([sys.executable, "-c", TIDYING], capture_output=True, text=True, check=True, timeout=30)
    by_itself, with_as_many_connections, with_few, with_garbage = ran.stdout.splitlines()
    assert by_itself == "0"
    assert with_as_many_connections == "False"
    assert with_few == "True False", "what has come since the last time counts"
    assert with_garbage == "True 0", "all of it is gone"


def test_what_is_free_is_given_back_once_a_second_after_many_endings() -> None:
    times: list[int] = []
    heap = Heap(lambda: times.append(now_us))
    for now_us in range(0, 4 * TRIM_EVERY_US, TRIM_EVERY_US // 10):
        if now_us < 2 * TRIM_EVERY_US:  # many a time
            for _ in range(ENDINGS // 2):
                heap.note_end()
        heap.tidy(10, now_us)
    assert times == [TRIM_EVERY_US // 10, TRIM_EVERY_US * 11 // 10, TRIM_EVERY_US * 21 // 10]


def test_nothing_is_given_back_while_nobody_leaves() -> None:
    given_back: list[bool] = []
    heap = Heap(lambda: given_back.append(True))
    for _ in range(ENDINGS - 1):
        heap.note_end()
    for now_us in range(0, 10 * TRIM_EVERY_US, TRIM_EVERY_US // 10):
        heap.tidy(10, now_us)
    assert not given_back
