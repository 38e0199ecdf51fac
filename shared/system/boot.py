"""Which start of this machine it is: two processes with the same boot id share their monotonic clock."""

from contextlib import suppress
from pathlib import Path


def boot_id() -> str | None:
    """Return the boot id (random(4)), None where the system has none."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return None
