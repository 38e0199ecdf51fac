"""What importing leaves behind is given back before anybody is served."""

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
