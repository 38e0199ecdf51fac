"""Reads the boot id of this machine: two processes with the same one share their monotonic clock."""

from contextlib import suppress
from pathlib import Path


def boot_id() -> str | None:
    """Return the boot id (random(4)), None where the system has none."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return None
