"""What importing leaves behind is given back before anybody is served, and garbage is collected where there is much."""

import subprocess
import sys

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

from shared.heap import LEAST_OBJECTS, settle_heap, tidy_heap


class Node:
    def __init__(self):
        self.itself = self


settle_heap()
full_before = gc.get_stats()[2]["collections"]
in_use = [[] for _ in range(4 * LEAST_OBJECTS)]  # Python itself would have looked through all of it by now
print(gc.get_stats()[2]["collections"] - full_before)
print(tidy_heap(connections=4 * LEAST_OBJECTS // 60))  # that many have come
print(tidy_heap(connections=10), tidy_heap(connections=10))
for _ in range(2 * LEAST_OBJECTS):
    Node()
print(tidy_heap(connections=10), gc.collect())
"""


def test_there_are_full_collections_only_where_there_is_much_beside_what_is_in_use() -> None:
    ran = subprocess.run([sys.executable, "-c", TIDYING], capture_output=True, text=True, check=True, timeout=30)
    by_itself, with_as_many_connections, with_few, with_garbage = ran.stdout.splitlines()
    assert by_itself == "0"
    assert with_as_many_connections == "False"
    assert with_few == "True False", "what has come since the last time counts"
    assert with_garbage == "True 0", "all of it is gone"
