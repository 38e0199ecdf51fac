"""Namespaces of Linux, where a test may make them: unshare(1), which mostly takes root."""

import subprocess
from collections.abc import Sequence


def can_unshare(command: Sequence[str]) -> bool:
    """Say whether a command that begins with ``unshare`` can be run here."""
    try:
        done = subprocess.run([*command, "true"], capture_output=True, check=False, timeout=10)
    except OSError:
        return False
    return done.returncode == 0
