import platform
import subprocess
import sys

READ_BACK = """
import ctypes, os, platform, struct
from shared.system.slices import ask_for_slices
GETATTR = {"x86_64": 315, "aarch64": 275}[platform.machine()]
def slice_ns():
    buffer = ctypes.create_string_buffer(56)
    assert ctypes.CDLL(None).syscall(GETATTR, 0, buffer, 56, 0) == 0
    return struct.unpack("IIQiIQQQII", buffer.raw)[5]
os.nice(3)
usual = slice_ns()
assert ask_for_slices(200_000)
mine, nice = slice_ns(), os.nice(0)
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, str(slice_ns()).encode())
    os._exit(0)
os.wait()
print(usual, mine, int(os.read(read, 99)), nice)
"""


def has_slices() -> bool:
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2]) >= (6, 12)


def test_the_slices_are_short_for_who_asked_and_not_for_its_children() -> None:
    done = subprocess.run([sys.executable, "-c", READ_BACK], capture_output=True, text=True, check=True, timeout=30)
    usual, mine, childs, nice = (int(word) for word in done.stdout.split())
    assert mine == (200_000 if has_slices() else usual)
    assert childs == usual
    assert nice == 3, "as it was"


def test_who_is_scheduled_by_another_policy_is_left_alone() -> None:
    code = (
        "import os\nfrom shared.system.slices import ask_for_slices\n"
        "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))\n"
        "print(ask_for_slices(200_000), os.sched_getscheduler(0) == os.SCHED_BATCH)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.split() == ["False", "True"]
